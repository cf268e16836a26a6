// Command generate writes the day that the demo plays. The same program always
// writes the same day:
//
//	go run ./internal/demo/generate
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/rouse-im/rouse/internal/demo"
)

const file = "internal/demo/day.jsonl"

func main() {
	text, err := encode(day())
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "generate: %v; run it in the root of the repository\n", err)
		os.Exit(1)
	}
}

// encode writes one line of JSON for each line of the day.
func encode(lines []demo.Line) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i := range lines {
		if err := e.Encode(&lines[i]); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
