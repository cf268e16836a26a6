package lane

import "time"

// midnight is the first instant of the day after that of t in the zone. Where
// clocks change at midnight that is not always 0:00, or not the only one.
func midnight(t time.Time, zone *time.Location) time.Time {
	// All changes of clocks are by quarters of an hour.
	const step = 15 * time.Minute
	y, m, today := t.In(zone).Date()
	next := time.Date(y, m, today+1, 0, 0, 0, 0, zone)
	for next.Day() == today {
		next = next.Add(step)
	}
	for before := next.Add(-step); before.Day() != today && before.After(t); before = next.Add(-step) {
		next = before
	}
	return next
}
