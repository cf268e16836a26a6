package honor

import "github.com/rouse-im/rouse/vendors"

// Same is part of vendors.BatchSender: badges count where Honor is told a number.
func (s *Sender) Same(a, b *vendors.Notification) bool {
	return vendors.Alike(a, b) && a.ThreadID == b.ThreadID && a.ImageURL == b.ImageURL &&
		s.config.badgeOf(a).same(s.config.badgeOf(b))
}

func (b *badge) same(other *badge) bool {
	return b == other || b != nil && other != nil && equal(b.Add, other.Add) && equal(b.Set, other.Set)
}

func equal(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }
