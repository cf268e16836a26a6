package honor

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

// units counts as Java does, in which Honor's servers and clients are written.
func units(text string) int {
	count := 0
	for _, r := range text {
		count++
		if r > 0xffff {
			count++
		}
	}
	return count
}

// cut keeps as many whole characters, as people see them, as fit into
// mostBytes of JSON and mostUnits of UTF-16 with an ellipsis.
func cut(text string, mostBytes, mostUnits int) string {
	if len(text) <= mostBytes && room(text) <= mostBytes && units(text) <= mostUnits {
		return text
	}
	mostBytes -= len(ellipsis)
	mostUnits -= units(ellipsis)
	end, rest, state := 0, text, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		mostBytes -= room(cluster)
		mostUnits -= units(cluster)
		if mostBytes < 0 || mostUnits < 0 {
			break
		}
		end += len(cluster)
	}
	if end == 0 {
		return ""
	}
	return text[:end] + ellipsis
}
