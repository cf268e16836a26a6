package courier

import (
	"bytes"
	"encoding/json"
)

// JSON is a body of v, which is made of strings, numbers, maps of strings and
// encoded JSON. It leaves <, > and & alone: escapes would only take room.
func JSON(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return nil // see above
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
