package huawei

import (
	"bytes"
	"encoding/json"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// encode writes JSON without HTML's escapes, which would only take room.
func encode(v any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return nil // strings, numbers and maps of them always encode
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// room is the number of bytes that text takes within JSON quotes.
func room(text string) int { return len(encode(text)) - len(`""`) }

// cut keeps as many whole characters, as people see them, as fit into most
// bytes of JSON with an ellipsis.
func cut(text string, most int) string {
	if len(text) <= most && room(text) <= most {
		return text
	}
	most -= len(ellipsis)
	end, rest, state := 0, text, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if most -= room(cluster); most < 0 {
			break
		}
		end += len(cluster)
	}
	if end == 0 {
		return ""
	}
	return text[:end] + ellipsis
}
