package stepped

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWall(t *testing.T) {
	check := func(t *testing.T) {
		t.Helper()
		now := time.Now()
		for _, by := range []time.Duration{time.Hour, -time.Hour, -400 * 24 * time.Hour, 0} {
			got := Wall(now, by)
			if !got.Round(0).Equal(now.Round(0).Add(by)) || got.Sub(Wall(now, 0)) != 0 || got.Add(time.Minute).Sub(Wall(now, 2*by)) != time.Minute {
				t.Errorf("stepped by %s: %s of %s, %s later", by, got, now, got.Sub(Wall(now, 0)))
			}
			<-time.After(time.Millisecond)
			if passed := Wall(time.Now(), 3*by).Sub(got); passed < time.Millisecond || passed > time.Minute {
				t.Errorf("stepped by %s: %s passed in a millisecond", by, passed)
			}
		}
	}
	check(t)
	synctest.Test(t, check)
}
