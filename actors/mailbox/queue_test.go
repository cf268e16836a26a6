package mailbox

import (
	"testing"

	"pgregory.net/rapid"
)

func TestQueueIsFIFO(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []int
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 3*chunkLen).Draw(t, "n") {
					q.push(next)
					model = append(model, next)
					next++
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.IntRange(0, len(model)).Draw(t, "n") {
					if got := q.pop(); got != model[0] {
						t.Fatalf("pop = %v, want %v", got, model[0])
					}
					model = model[1:]
				}
			},
			"": func(t *rapid.T) {
				if int(q.n) != len(model) {
					t.Fatalf("n = %d, want %d", q.n, len(model))
				}
				if len(model) == 0 && (q != queue{}) {
					t.Fatalf("an empty queue holds memory: %+v", q)
				}
			},
		})
	})
}
