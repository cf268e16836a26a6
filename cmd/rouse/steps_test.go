package main

import (
	"testing"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Both languages have words for every step and verdict of the contract.
func TestStepWords(t *testing.T) {
	for _, l := range []language{english, chinese} {
		for n := range rousev1.DecisionStep_name {
			if n != 0 && l.steps[rousev1.DecisionStep(n)] == "" {
				t.Errorf("no words for step %v", rousev1.DecisionStep(n))
			}
		}
		for n := range rousev1.StepVerdict_name {
			if n != 0 && l.verdicts[rousev1.StepVerdict(n)] == "" {
				t.Errorf("no words for verdict %v", rousev1.StepVerdict(n))
			}
		}
	}
}

func TestParseWindow(t *testing.T) {
	for text, want := range map[string]string{
		"22:00-07:30":              "22:00-07:30",
		"00:00-24:00":              "00:00-24:00",
		" whole-day  SAT,sun ":     "whole-day sat,sun",
		"13:00-14:00 mon mentions": "13:00-14:00 mon mentions",
		"13:00-14:00 mentions tue": "13:00-14:00 tue mentions",
		"13:00-14:00 fri sun":      "13:00-14:00 fri,sun",
	} {
		w, err := parseWindow(text)
		if err != nil || windowText(w) != want {
			t.Errorf("%q: %v, %v", text, w, err)
		}
	}
	for _, text := range []string{"", "22-07", "22:00", "24:01-03:00", "22:00-07:00 someday", "25:00-01:00"} {
		if w, err := parseWindow(text); err == nil {
			t.Errorf("%q is taken as %v", text, w)
		}
	}
}
