package controlplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Metrics is the text that a component answers at /metrics.
func Metrics(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s/metrics: %s", url, response.Status)
	}
	return string(text), err
}

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
