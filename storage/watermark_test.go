package storage

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var day0 = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func TestWritable(t *testing.T) {
	fs := vfs.NewMem()
	s := openTest(t, fs)
	if err := s.Writable(day0); err != nil {
		t.Fatalf("a file system that cannot say: %v", err)
	}
	if free := s.DiskFree(day0); free != 0 {
		t.Fatalf("%d bytes free on a file system that cannot say", free)
	}
	at := func(d time.Duration, free uint64) error {
		fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40})
		return s.Writable(day0.Add(d))
	}
	if err := at(time.Second, 256<<20); err != nil {
		t.Fatalf("at the watermark: %v", err)
	}
	if err := at(1999*time.Millisecond, 5); err != nil {
		t.Fatalf("asked again within a second: %v", err)
	}
	err := at(2*time.Second, 256<<20-1)
	var low *DiskLowError
	if !errors.Is(err, ErrDiskLow) || !errors.As(err, &low) || *low != (DiskLowError{256<<20 - 1, 256 << 20}) {
		t.Fatalf("below: %v", err)
	}
	if free := s.DiskFree(day0.Add(2500 * time.Millisecond)); free != 256<<20-1 {
		t.Fatalf("%d bytes are free below the watermark", free)
	}
	if err := at(2500*time.Millisecond, 1<<40); err == nil {
		t.Fatal("the refusal was not remembered")
	}
	if err := at(-time.Hour, 1<<40); err != nil {
		t.Fatalf("a clock that went back keeps the refusal: %v", err)
	}
}
