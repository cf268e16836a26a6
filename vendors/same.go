package vendors

import (
	"maps"
	"time"
)

// Alike tells whether a and b agree in what every vendor is sent of a push but
// its id and token; Expires to the second. It is the common part of Same.
func Alike(a, b *Notification) bool {
	return a.Channel == b.Channel && a.Class == b.Class && a.Category == b.Category &&
		a.Title == b.Title && a.Body == b.Body && a.CollapseID == b.CollapseID && a.Override == b.Override &&
		a.Expires.Truncate(time.Second).Equal(b.Expires.Truncate(time.Second)) &&
		maps.Equal(a.Data, b.Data)
}
