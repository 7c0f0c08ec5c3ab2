package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func reported(t *testing.T, results string) (text, out string) {
	t.Helper()
	out = t.TempDir()
	if err := run(results, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(out, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data), out
}

func TestWhatWasNotMeasuredIsNamed(t *testing.T) {
	text, _ := reported(t, t.TempDir())
	if parts := strings.Count(text, "\n## "); strings.Count(text, "Not measured.") != parts {
		t.Errorf("of %d parts only %d are said not to be measured", parts, strings.Count(text, "Not measured."))
	}
}

func TestRatiosAndPlots(t *testing.T) {
	results := t.TempDir()
	write(t, filepath.Join(results, "etcd", "results.json"), `{"Began": "2026-01-02T03:04:05Z", "Machine": "2 cores",
		"Versions": {"etcd": "v3"}, "Notes": ["A note."], "Rows": [
		{"Load": "puts", "Title": "put", "Peer": "etcd", "Clients": 1},
		{"Load": "puts", "Title": "put", "Peer": "harikube-sqlite", "Clients": 1, "Against": {"etcd": ["1.50", "1.00", "0.50"]}},
		{"Load": "puts", "Title": "put", "Peer": "harikube-postgres", "Clients": 1, "Against": {"etcd": ["OURS failed", "–", "–"]}}]}`)
	write(t, filepath.Join(results, "etcd", "big.json"),
		`[{"Title": "HariKube on SQLite", "Keys": 1000, "Empty": 500, "Start": 1000, "Get": 2, "Count": 3}]`)
	run := func(system string, score, cpu float64) string {
		return strings.NewReplacer("SYSTEM", system, "SCORE", strconv.FormatFloat(score, 'f', -1, 64), "MILLIS", strconv.FormatFloat(cpu, 'f', -1, 64)).Replace(
			`{"System": "SYSTEM", "Objects": 0, "Runs": [{"Requests": 200, "Checks": 200, "Seconds": 10, "Median": 10, "Score": SCORE,
			"CPU": {"kube-apiserver": MILLIS, "store": 1}, "Windows": [{"Requests": 100, "Median": 10, "P95": 20, "P99": 30},
			{"Requests": 100, "Median": 10, "P95": 20, "P99": 30}]}], "Memory": {"kube-apiserver": 200, "store": 100}}`)
	}
	write(t, filepath.Join(results, "kubernetes", "challenge.json"), "["+run("sqlite", 3000, 2)+","+run("etcd", 1500, 4)+"]")
	write(t, filepath.Join(results, "kubernetes", "versions.json"), `["Kubernetes v1", "k6 v2"]`)
	write(t, filepath.Join(results, "kubernetes", "watches.json"),
		`[{"System": "sqlite", "Rate": 500, "Events": 500, "P50": 1, "P99": 2}, {"System": "etcd", "Rate": 500, "Events": 500, "P50": 2, "P99": 8}]`)
	write(t, filepath.Join(results, "kubernetes", "lists.json"),
		`[{"System": "sqlite", "Objects": 9, "Title": "all", "Found": 9, "Median": 3}, {"System": "etcd", "Objects": 9, "Title": "all", "Found": 9, "Median": 2}]`)
	write(t, filepath.Join(results, "kubernetes", "garbage.json"),
		`[{"System": "sqlite", "By": "the store", "Dependents": 1000, "Seconds": 2, "Quiet": {"P50": 1, "P99": 2, "Rate": 100},
		"Beside": {"P50": 1.5, "P99": 3, "Rate": 50}, "Points": [{"Seconds": 1, "Left": 500, "P99": 3}, {"Seconds": 2, "Left": 0, "P99": 3}]},
		{"System": "sqlite", "By": "the controller manager", "Dependents": 1000, "Seconds": 50}]`)
	got, out := reported(t, results)
	for _, line := range []string{
		"| puts, 1 client | etcd | 1 on SQLite | 1.50 | OURS failed |",
		"| challenge, points in an hour, empty store | the published 1059 | 10 | **2.83** | – |",
		"| count of 1000 keys | get | at most 3 | 1.50 | – |",
		"- Kubernetes v1\n- k6 v2",
		"| put | 1 | 1.50 (0.50) | – | OURS failed | – |",
		"| HariKube on SQLite | 1.0 s | 2.00 | 1.50 |",
		"| HariKube on SQLite | 0 | 1.00 | 2.00 | 1.00 | 2.8 | 0.00 % |",
		"| HariKube on SQLite | 0 | 0.50 | 1.00 | 200 | 1.00 | 100 |",
		"| HariKube on SQLite | 500 | 1.00 | 0.50 | 0.25 |",
		"| all | 9 | 1.50 | – |",
		"| HariKube on SQLite | 1000 | 25 | 1.50 | 1.50 | 0.50 |",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	plots := strings.Count(got, "](benchmarks/")
	files, err := filepath.Glob(filepath.Join(out, "benchmarks", "*.svg"))
	if err != nil || len(files) == 0 || len(files) != plots {
		t.Errorf("%d files for %d plots, %v", len(files), plots, err)
	}
	if t.Failed() {
		t.Log(got)
	}
}
