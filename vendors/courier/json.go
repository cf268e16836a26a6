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

// ID is a vendor's message id as people may see it: up to 128 visible ASCII
// characters. What is longer is cut; any other thing is empty.
type ID string

// UnmarshalJSON never fails.
func (id *ID) UnmarshalJSON(raw []byte) error {
	var text string
	_ = json.Unmarshal(raw, &text)
	*id = ID(text[:min(len(text), 128)])
	for i := range len(*id) {
		if (*id)[i] <= ' ' || (*id)[i] > '~' {
			*id = ""
			break
		}
	}
	return nil
}
