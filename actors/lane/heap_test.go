package lane

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type weighed struct{ weight, place int }

func TestHeapKeepsTheLeastOnTop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := heap[*weighed]{
			before: func(a, b *weighed) bool { return a.weight < b.weight },
			place:  func(w *weighed) *int { return &w.place },
		}
		var model []*weighed
		for i := range rapid.IntRange(0, 40).Draw(t, "filled") {
			w := &weighed{weight: i * 7 % 23}
			h.push(w)
			model = append(model, w)
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				w := &weighed{weight: rapid.IntRange(0, 20).Draw(t, "weight")}
				h.push(w)
				model = append(model, w)
			},
			"remove": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "i")
				h.remove(model[i])
				h.remove(model[i]) // not in the heap any more: left alone
				model = slices.Delete(model, i, i+1)
			},
			"": func(t *rapid.T) {
				if h.len() != len(model) {
					t.Fatalf("len %d, want %d", h.len(), len(model))
				}
				for _, w := range model {
					if w.weight < h.top().weight {
						t.Fatalf("top weighs %d, but there is %d", h.top().weight, w.weight)
					}
				}
			},
		})
	})
}
