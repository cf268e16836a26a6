package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// call is what a verb runs with.
type call struct {
	ctx    context.Context
	in     io.Reader
	out    io.Writer
	errs   io.Writer
	speech language
}

// table writes columns for people under a heading.
func (c *call) table(heading []string, rows [][]string) error {
	return c.columns(append([][]string{heading}, rows...))
}

// columns writes cells below each other, as wide as a terminal shows them:
// Chinese takes two places a character, which text/tabwriter does not know.
func (c *call) columns(rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

// json writes a message for scripts, on one line.
func (c *call) json(m proto.Message) error {
	text, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s\n", text)
	return err
}

// say writes one line for people.
func (c *call) say(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format+"\n", args...)
	return err
}

// at is a time for people; "-" when there is none.
func at(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format(time.DateTime)
}

// dash stands for an empty cell.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
