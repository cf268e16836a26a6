// Package trace keeps what happened in files: one JSON object a line, the first
// of which says what the others are. It also reads the device states of the
// FLASH data set. Neither reader trusts its file.
package trace

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// Version of the format; a reader refuses others.
const Version = 1

// Header is the first line.
type Header struct {
	Version int `json:"rouse_trace"`
	// Scenario and Seed that made the steps; empty and 0 if they were recorded.
	Scenario string `json:"scenario,omitempty"`
	Seed     uint64 `json:"seed,omitempty"`
	// Commit of the program that wrote the file.
	Commit string `json:"commit,omitempty"`
	// Start is the wall clock at offset 0.
	Start time.Time `json:"start"`
	// Note is for people, at most 4096 bytes.
	Note string `json:"note,omitempty"`
}

// Writer of a trace; the caller closes what is below it.
type Writer struct {
	w *bufio.Writer
	e *json.Encoder
}

// NewWriter writes the header.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Version = Version
	b := bufio.NewWriter(w)
	t := &Writer{b, json.NewEncoder(b)}
	t.e.SetEscapeHTML(false)
	return t, t.encode(h)
}

// Write one step.
func (t *Writer) Write(s simulations.Step) error { return t.encode(s) }

func (t *Writer) encode(v any) error {
	if err := t.e.Encode(v); err != nil {
		return fmt.Errorf("writing a trace: %w", err)
	}
	return nil
}

// Flush what is buffered.
func (t *Writer) Flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("writing a trace: %w", err)
	}
	return nil
}

// Options of a reader. Zero fields have a default.
type Options struct {
	// MaxLine in bytes; 1 MiB. MaxLines; 100 million.
	MaxLine  int
	MaxLines int
	// Strict refuses the file at its first bad line. Without it bad lines are
	// skipped, counted, and the first MaxBad told.
	Strict bool
}

// MaxBad lines are told with their reasons.
const MaxBad = 100

// Bad is a line that was not taken.
type Bad struct {
	Line   int
	Reason string
}

// String is for people.
func (b Bad) String() string { return fmt.Sprintf("line %d: %s", b.Line, b.Reason) }

// Reader of a trace.
type Reader struct {
	Header Header
	// Bad are the first lines that were skipped, Skipped is the number of all.
	Bad     []Bad
	Skipped int

	in   *bufio.Reader
	o    Options
	line int
	last simulations.Offset
}

// ErrVersion says that a file is no trace, or of another version.
var ErrVersion = errors.New("not a trace of this version")

// NewReader reads the header, which must be right.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	o.MaxLine, o.MaxLines = cmp.Or(o.MaxLine, 1<<20), cmp.Or(o.MaxLines, 100_000_000)
	t := &Reader{in: bufio.NewReaderSize(r, 64<<10), o: o}
	text, err := t.read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the trace is empty: %w", ErrVersion)
	}
	if err != nil {
		return nil, err
	}
	if err := decode(text, &t.Header); err != nil {
		return nil, fmt.Errorf("line 1: no header (%w): %w", err, ErrVersion)
	}
	if t.Header.Version != Version || t.Header.Start.IsZero() || len(t.Header.Note) > 4096 {
		return nil, fmt.Errorf("line 1: version %d, want %d with a start: %w", t.Header.Version, Version, ErrVersion)
	}
	return t, nil
}

// Next step; io.EOF at the end.
func (t *Reader) Next() (simulations.Step, error) {
	for {
		text, err := t.read()
		var long *longLine
		switch {
		case errors.As(err, &long):
		case err != nil:
			return simulations.Step{}, err
		case len(bytes.TrimSpace(text)) == 0:
			continue
		default:
			var s simulations.Step
			if err = decode(text, &s); err == nil {
				err = t.check(&s)
			}
			if err == nil {
				t.last = s.At
				return s, nil
			}
		}
		bad := Bad{t.line, err.Error()}
		if t.o.Strict {
			return simulations.Step{}, errors.New(bad.String())
		}
		if t.Skipped++; len(t.Bad) < MaxBad {
			t.Bad = append(t.Bad, bad)
		}
	}
}

func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object on the line")
	}
	return nil
}

type longLine struct{ max int }

func (l *longLine) Error() string { return fmt.Sprintf("longer than %d bytes", l.max) }

// read one line, without its end. A line that is too long is read over.
func (t *Reader) read() ([]byte, error) {
	if t.line >= t.o.MaxLines {
		return nil, fmt.Errorf("the trace has more than %d lines", t.o.MaxLines)
	}
	var text []byte
	over := false
	for {
		part, err := t.in.ReadSlice('\n')
		if over = over || len(text)+len(part) > t.o.MaxLine; !over {
			text = append(text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(text) == 0 && !over:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("reading line %d of a trace: %w", t.line+1, err)
		}
		t.line++
		if over {
			return nil, &longLine{t.o.MaxLine}
		}
		return bytes.TrimRight(text, "\r\n"), nil
	}
}
