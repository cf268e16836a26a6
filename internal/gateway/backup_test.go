package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// takeBackup reads a backup to its end.
func takeBackup(ctx context.Context, c rousev1.BackupServiceClient) ([]byte, error) {
	in, err := c.Backup(ctx, &rousev1.BackupRequest{})
	if err != nil {
		return nil, err
	}
	var all []byte
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if n := len(m.GetData()); n == 0 || n > backupBytes {
			return all, errors.New("a message of a wrong size")
		}
		all = append(all, m.GetData()...)
	}
}

func TestBackupStreams(t *testing.T) {
	archive := bytes.Repeat([]byte("archive "), 100_000)
	began, end := make(chan struct{}), make(chan struct{})
	answers := make(chan func(io.Writer) error, 8)
	w := newWorld(t, func(o *Options) {
		o.Backup = func(_ context.Context, out io.Writer) error { return (<-answers)(out) }
	})
	client := rousev1.NewBackupServiceClient(w.conn)
	whole := func(out io.Writer) error {
		_, err := out.Write(archive)
		return err
	}
	answers <- whole
	got, err := takeBackup(w.as(w.operator()), client)
	if err != nil || !bytes.Equal(got, archive) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, key := range []string{w.intakeKey(), w.adminKey(), "nonsense"} {
		if got, err := takeBackup(w.as(key), client); err == nil || len(got) > 0 {
			t.Errorf("%d bytes for a key of another role", len(got))
		}
	}

	answers <- func(out io.Writer) error { close(began); <-end; return whole(out) }
	first := make(chan error, 1)
	go func() { _, err := takeBackup(w.as(w.operator()), client); first <- err }()
	<-began
	if _, err := takeBackup(w.as(w.operator()), client); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second backup: %v", err)
	}
	close(end)
	if err := <-first; err != nil {
		t.Error(err)
	}

	answers <- func(io.Writer) error {
		return &actors.Refusal{Detail: complaint(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "holds a part")}
	}
	if _, err := takeBackup(w.as(w.operator()), client); status.Code(err) != codes.Unavailable {
		t.Errorf("of a node with a part: %v", err)
	}
	answers <- func(out io.Writer) error {
		_, err := out.Write(archive[:10])
		return errors.Join(err, errors.New(canary))
	}
	if got, err := takeBackup(w.as(w.operator()), client); status.Code(err) != codes.Internal || len(got) != 10 {
		t.Errorf("cut off after %d bytes: %v", len(got), err)
	}
}

// TestBackupOverConnect as the command line takes it.
func TestBackupOverConnect(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Backup = func(_ context.Context, out io.Writer) error {
			_, err := out.Write([]byte("archive"))
			return err
		}
	})
	take := func(key string) (string, error) {
		c := connect.NewClient[rousev1.BackupRequest, rousev1.BackupResponse](http.DefaultClient, w.url+rousev1.BackupService_Backup_FullMethodName)
		r := connect.NewRequest(&rousev1.BackupRequest{})
		r.Header().Set("Authorization", "Bearer "+key)
		in, err := c.CallServerStream(t.Context(), r)
		if err != nil {
			return "", err
		}
		all := ""
		for in.Receive() {
			all += string(in.Msg().GetData())
		}
		return all, errors.Join(in.Err(), in.Close())
	}
	if got, err := take(w.operator()); got != "archive" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := take(w.adminKey()); got != "" || connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("an admin got %q, %v", got, err)
	}
}

func TestBackupEndsWithItsCaller(t *testing.T) {
	ended := make(chan error, 1)
	began := make(chan struct{})
	w := newWorld(t, func(o *Options) {
		o.Backup = func(ctx context.Context, out io.Writer) error {
			close(began)
			<-ctx.Done()
			_, err := out.Write([]byte("more"))
			ended <- err
			return err
		}
	})
	ctx, leave := context.WithCancel(w.as(w.operator()))
	if _, err := rousev1.NewBackupServiceClient(w.conn).Backup(ctx, &rousev1.BackupRequest{}); err != nil {
		t.Fatal(err)
	}
	<-began
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it went on with %v", err)
	}
}

func TestNoBackupYet(t *testing.T) {
	w := newWorld(t)
	if _, err := takeBackup(w.as(w.operator()), rousev1.NewBackupServiceClient(w.conn)); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}
