package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTheShippedDayIsTheOneGenerated(t *testing.T) {
	want, err := encode(day())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../day.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("day.jsonl is not what the generator writes; run go run ./internal/demo/generate in the root of the repository")
	}
	if len(got) > 1_500_000 {
		t.Errorf("day.jsonl has %d bytes", len(got))
	}
}
