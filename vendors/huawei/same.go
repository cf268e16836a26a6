package huawei

import "github.com/rouse-im/rouse/vendors"

// Same is part of vendors.BatchSender: badges count where Huawei is told a
// number, threads for HMS alone.
func (s *Sender) Same(a, b *vendors.Notification) bool {
	return vendors.Alike(a, b) && a.ImageURL == b.ImageURL && s.config.sameBadge(a, b) &&
		(a.Sound == b.Sound || s.config.API == Harmony && systemSound(a) && systemSound(b)) &&
		(a.ThreadID == b.ThreadID || s.config.API == Harmony)
}

// systemSound: HarmonyOS has no silence.
func systemSound(n *vendors.Notification) bool { return n.Sound == "" || n.Sound == "default" }

func (p *parsed) sameBadge(a, b *vendors.Notification) bool {
	if p.API == HMS && p.BadgeClass == "" {
		return true
	}
	addA, setA := p.badgeOf(a)
	addB, setB := p.badgeOf(b)
	return equal(addA, addB) && equal(setA, setB)
}

func equal(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }
