package oppo

import "github.com/rouse-im/rouse/vendors"

// Same is part of vendors.BatchSender.
func (s *Sender) Same(a, b *vendors.Notification) bool {
	return vendors.Alike(a, b) && a.Subtitle == b.Subtitle && max(a.Badge, -1) == max(b.Badge, -1)
}
