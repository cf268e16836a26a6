package route

import "time"

// usual is how long answers take, as TCP keeps it of its packets: their mean and
// their mean deviation. An attempt that is repeated although its answer is on its
// way is work for those who have too much of it already.
type usual struct{ mean, deviation time.Duration }

// learn takes in one time.
func (u *usual) learn(took time.Duration) {
	if u.mean == 0 {
		u.mean, u.deviation = took, took/2
		return
	}
	off := took - u.mean
	u.mean += off / 8
	u.deviation += (max(off, -off) - u.deviation) / 4
}

// patience is how long an answer may take that is still to be expected.
func (u *usual) patience() time.Duration { return u.mean + max(u.mean/2, 4*u.deviation) }
