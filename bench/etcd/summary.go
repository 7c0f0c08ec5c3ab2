package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// summary is what the rounds of one peer and step come to: medians of the rounds that did not fail.
type summary struct {
	rounds, failed   int
	rate             float64
	p50, p95, p99    time.Duration
	attempts, errors int
	results          []*result
}

func summarize(results []*result) summary {
	s := summary{rounds: len(results), results: results}
	var rates []float64
	var p50s, p95s, p99s []time.Duration
	for _, r := range results {
		s.attempts += r.attempts
		s.errors += r.errors()
		if r.err != nil {
			s.failed++
			continue
		}
		rates = append(rates, r.rate)
		p50s = append(p50s, r.p50)
		p95s = append(p95s, r.p95)
		p99s = append(p99s, r.p99)
	}
	s.rate, s.p50, s.p95, s.p99 = median(rates), median(p50s), median(p95s), median(p99s)
	return s
}

// measured says whether there is anything to divide by.
func (s summary) measured() bool {
	return s.rounds > s.failed
}

// median of an even number of values is the mean of the two in the middle, of none it is 0.
func median[T float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	slices.SortFunc(values, cmp.Compare[T])
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// ratios are the cells of ours by theirs: rate, p50, p99.
func ratios(ours, theirs summary) [3]string {
	switch {
	case ours.rounds == 0 || theirs.rounds == 0:
		return [3]string{"–", "–", "–"}
	case !ours.measured() && !theirs.measured():
		return [3]string{"both failed", "–", "–"}
	case !ours.measured():
		return [3]string{"OURS failed", "–", "–"}
	case !theirs.measured():
		return [3]string{"failed", "–", "–"}
	}
	return [3]string{
		ratio(ours, theirs, func(r *result) float64 { return r.rate }),
		ratio(ours, theirs, func(r *result) float64 { return float64(r.p50) }),
		ratio(ours, theirs, func(r *result) float64 { return float64(r.p99) }),
	}
}

// ratio is the median of those of each round: what slows the machine for a while slows both.
func ratio(ours, theirs summary, value func(*result) float64) string {
	var all []float64
	for i := range min(ours.rounds, theirs.rounds) {
		a, b := ours.results[i], theirs.results[i]
		if a.err == nil && b.err == nil && value(b) != 0 {
			all = append(all, value(a)/value(b))
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", median(all))
}

// troubles tells of failed rounds and operations, or is empty.
func (s summary) troubles() string {
	text := ""
	if s.failed > 0 {
		text = fmt.Sprintf("failed in %d of %d rounds", s.failed, s.rounds)
	}
	if s.errors > 0 {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d of %d operations failed", s.errors, s.attempts)
	}
	return text
}
