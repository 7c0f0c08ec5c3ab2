package controlplane

import (
	"slices"
	"strconv"
	"strings"
)

// SumOf adds up the samples of a metric, in the text that a component answers at /metrics, whose labels contain all of
// the given pieces, such as `verb="GET"`.
func SumOf(metrics, name string, labels ...string) (float64, error) {
	sum := 0.0
	for line := range strings.Lines(metrics) {
		line = strings.Replace(strings.TrimSpace(line), name+" ", name+"{} ", 1)
		sample, ours := strings.CutPrefix(line, name+"{")
		end := strings.LastIndex(sample, "} ")
		if !ours || end < 0 || slices.ContainsFunc(labels, func(label string) bool { return !strings.Contains(sample[:end], label) }) {
			continue
		}
		n, err := strconv.ParseFloat(sample[end+2:], 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
