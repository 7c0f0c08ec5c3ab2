// Command report writes docs/benchmarks.md and its plots from what the benchmarks have found. A part
// that was not measured is named as such.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// record is the published one of the challenge, in points per hour.
const record = 1059

func main() {
	results := flag.String("results", "build/bench-results", "folder with the results")
	out := flag.String("out", "docs", "folder for benchmarks.md and its plots")
	flag.Parse()
	if err := run(*results, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench/report:", err)
		os.Exit(1)
	}
}

func run(results, out string) error {
	plots := filepath.Join(out, "benchmarks")
	if err := os.RemoveAll(plots); err != nil {
		return err
	}
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	r := report{results: results, plots: plots}
	for _, part := range []func() error{r.head, r.goals, r.etcd, r.big, r.challenge, r.watches, r.lists, r.garbage, r.memory, r.selectors, r.soak} {
		if err := part(); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(out, "benchmarks.md"), []byte(r.text.String()), 0o644)
}

type report struct {
	results, plots string
	text           strings.Builder
}

func (r *report) printf(format string, args ...any) {
	fmt.Fprintf(&r.text, format, args...)
}

// read reads results, or tells in the report that there are none.
func (r *report) read(file string, into any) (there bool, err error) {
	if there, err = r.load(file, into); !there && err == nil {
		r.printf("Not measured.\n")
	}
	return there, err
}

// load reads results, if there are any.
func (r *report) load(file string, into any) (there bool, err error) {
	data, err := os.ReadFile(filepath.Join(r.results, file))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, into)
}

// ---- etcd's API ----------------------------------------------------------------------------------

type etcdRow struct {
	Load, Title, Peer string
	Clients           int
	Against           map[string][3]string // rate, p50 and p99 by those of a program
}

func (r *report) head() error {
	r.printf("# Benchmarks\n\n`make bench` measures and writes this page. Ratios carry over from machine to machine, " +
		"absolute times do not.\n")
	return nil
}

func (r *report) etcd() error {
	r.printf("\n## etcd's API\n\n")
	var results struct {
		Began    time.Time
		Machine  string
		Versions map[string]string
		Notes    []string
		Rows     []etcdRow
	}
	if there, err := r.read("etcd/results.json", &results); !there || err != nil {
		return err
	}
	r.printf("%s; %s.\n\n", results.Began.UTC().Format(time.DateOnly), results.Machine)
	for _, name := range []string{"harikube", "etcd", "kine", "PostgreSQL"} {
		if version := results.Versions[name]; version != "" {
			r.printf("- %s %s\n", strings.Replace(name, "harikube", "HariKube", 1), version)
		}
	}
	for _, note := range results.Notes {
		r.printf("\n%s\n", note)
	}
	r.printf("\nThe rate of HariKube by that of the other, the median of the ratios of each round; above 1 is in favour of HariKube. In brackets p99 by p99, where below 1 is.\n\n" +
		"| load | clients | SQLite ÷ etcd | SQLite ÷ kine on SQLite | PostgreSQL ÷ etcd | PostgreSQL ÷ kine on PostgreSQL |\n" +
		"|---|--:|--:|--:|--:|--:|\n")
	against := func(like etcdRow, ours, program string) string {
		for _, row := range results.Rows {
			if row.Load == like.Load && row.Clients == like.Clients && row.Peer == ours {
				return shown(row.Against[program])
			}
		}
		return "–"
	}
	for _, row := range results.Rows {
		if row.Peer != "harikube-sqlite" {
			continue
		}
		r.printf("| %s | %d |", row.Title, row.Clients)
		for _, ours := range []string{"harikube-sqlite", "harikube-postgres"} {
			for _, program := range []string{"etcd", "kine"} {
				r.printf(" %s |", against(row, ours, program))
			}
		}
		r.printf("\n")
	}
	return nil
}

// shown is the ratio of the rates, with that of the p99 behind it; or who failed.
func shown(cells [3]string) string {
	rate, p99 := cmp.Or(cells[0], "–"), cmp.Or(cells[2], "–")
	if p99 == "–" {
		return rate
	}
	return fmt.Sprintf("%s (%s)", rate, p99)
}

// ---- The challenge -------------------------------------------------------------------------------

type trial struct {
	Requests, Checks, Failed, Median, P90, P95, P99, Seconds, Score float64
	CPU                                                             map[string]float64
	Windows                                                         []struct{ Requests, Median, P95, P99 float64 }
}

type standing struct {
	System  string
	Objects int
	AtOnce  bool
	Runs    []trial
	Memory  map[string]float64
	ToEmpty float64 // 0: not measured
}

func (s standing) median() trial { return s.Runs[len(s.Runs)/2] }

func (s standing) rate() float64 { return s.median().Requests / s.median().Seconds }

var titles = map[string]string{"sqlite": "HariKube on SQLite", "postgres": "HariKube on PostgreSQL",
	"etcd": "Kubernetes on etcd", "kine": "Kubernetes on kine"}

// find returns the standing of a system on a store of a size, in one form; nil: there is none.
func find(all []standing, system string, objects int, atOnce bool) *standing {
	i := slices.IndexFunc(all, func(s standing) bool {
		return s.System == system && s.Objects == objects && s.AtOnce == atOnce
	})
	if i < 0 {
		return nil
	}
	return &all[i]
}

func (r *report) challenge() error {
	r.printf("\n## The Kubernetes Performance Challenge\n\n")
	var all []standing
	if there, err := r.read("kubernetes/challenge.json", &all); !there || err != nil {
		return err
	}
	r.printf("120 virtual users of k6, each of whom creates six custom resources of six kinds and reads each back by a label, " +
		"as a service account with a role of its own. Kubernetes on etcd and kine is as it is, with its watch cache, and measured once on kine. " +
		"HariKube with 200,000 objects and more runs in turn with one beside it that has none, by whose points its own are divided. " +
		"The points are the challenge's: checks in an hour ÷ (0.2 · median + 0.3 · p90 + 0.5 · p95 in ms) · (1 − failed ÷ checks)⁷.\n\n")
	var versions []string
	if _, err := r.load("kubernetes/versions.json", &versions); err != nil {
		return err
	}
	if len(versions) > 0 {
		r.printf("- %s\n\n", strings.Join(versions, "\n- "))
	}
	ratio := func(ours *standing, theirs *standing, value func(standing) float64) string {
		if theirs == nil || value(*theirs) == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f", value(*ours)/value(*theirs))
	}
	score := func(s standing) float64 { return s.median().Score }
	for _, atOnce := range []bool{false, true} {
		form := "One request after the other"
		if atOnce {
			form = "The six of a step at once, which is measured once"
		}
		r.printf("%s:\n\n| | objects | requests/s ÷ etcd's | points ÷ etcd's | points ÷ own at %d objects | points ÷ the published %d | failed |\n"+
			"|---|--:|--:|--:|--:|--:|--:|\n", form, all[0].Objects, record)
		for i := range all {
			s := &all[i]
			if s.AtOnce != atOnce {
				continue
			}
			m := s.median()
			toFirst := ratio(s, find(all, s.System, all[0].Objects, atOnce), score)
			if s.ToEmpty != 0 {
				toFirst = fmt.Sprintf("%.2f", s.ToEmpty)
			}
			r.printf("| %s | %d | %s | %s | %s | %.1f | %.2f %% |\n", titles[s.System], s.Objects,
				ratio(s, find(all, "etcd", s.Objects, atOnce), standing.rate), ratio(s, find(all, "etcd", s.Objects, atOnce), score),
				toFirst, m.Score/record, 100*m.Failed/max(m.Checks, 1))
		}
		r.printf("\n")
	}
	r.printf("CPU of a request, and resident memory after the runs:\n\n"+
		"| | objects | kube-apiserver ÷ etcd's | store ÷ etcd | memory of kube-apiserver, MiB | ÷ own at %d objects | memory of the store, MiB |\n"+
		"|---|--:|--:|--:|--:|--:|--:|\n", all[0].Objects)
	for i := range all {
		s := &all[i]
		if s.AtOnce {
			continue
		}
		etcd := find(all, "etcd", s.Objects, false)
		cpu := func(program string) func(standing) float64 {
			return func(s standing) float64 { return s.median().CPU[program] }
		}
		r.printf("| %s | %d | %s | %s | %.0f | %s | %.0f |\n", titles[s.System], s.Objects,
			ratio(s, etcd, cpu("kube-apiserver")), ratio(s, etcd, cpu("store")), s.Memory["kube-apiserver"],
			ratio(s, find(all, s.System, all[0].Objects, false), func(s standing) float64 { return s.Memory["kube-apiserver"] }), s.Memory["store"])
	}
	r.printf("\n")
	return r.challengePlots(all)
}

// plotted are the systems of the challenge in the order of their colors.
var plotted = []string{"sqlite", "postgres", "etcd", "kine"}

func (r *report) challengePlots(all []standing) error {
	base := find(all, "etcd", all[0].Objects, false)
	if base == nil {
		base = &all[0]
	}
	rate, latency := base.rate(), base.median().Median
	for _, objects := range counts(all) {
		var rates, latencies []line
		for color, system := range plotted {
			s := find(all, system, objects, false)
			if s == nil {
				continue
			}
			var perSecond, p50, p95, p99 []point
			for i, w := range s.median().Windows {
				at := float64(i + 1)
				perSecond = append(perSecond, point{at, w.Requests / rate})
				p50 = append(p50, point{at, w.Median / latency})
				p95 = append(p95, point{at, w.P95 / latency})
				p99 = append(p99, point{at, w.P99 / latency})
			}
			rates = append(rates, line{titles[system], perSecond, color, 0})
			latencies = append(latencies, line{titles[system] + " p50", p50, color, 0},
				line{titles[system] + " p95", p95, color, 1}, line{titles[system] + " p99", p99, color, 2})
		}
		title := fmt.Sprintf("at %d objects", objects)
		if err := r.plot(fmt.Sprintf("challenge-rate-%d", objects), "Requests per second "+title, "seconds", "÷ "+titles[base.System]+" at first", rates); err != nil {
			return err
		}
		if err := r.plot(fmt.Sprintf("challenge-latency-%d", objects), "Latency "+title, "seconds", "÷ median of "+titles[base.System]+" at first", latencies); err != nil {
			return err
		}
	}
	var memory []line
	for color, system := range plotted {
		var points []point
		for _, s := range all {
			if s.System == system && !s.AtOnce {
				points = append(points, point{float64(s.Objects), s.Memory["kube-apiserver"]})
			}
		}
		if len(points) > 0 {
			memory = append(memory, line{titles[system], points, color, 0})
		}
	}
	return r.plot("challenge-memory", "Memory of kube-apiserver", "objects", "MiB", memory)
}

func counts(all []standing) []int {
	var counts []int
	for _, s := range all {
		if !slices.Contains(counts, s.Objects) {
			counts = append(counts, s.Objects)
		}
	}
	return slices.Sorted(slices.Values(counts))
}

// ---- A million keys ------------------------------------------------------------------------------

// bigStore is what one with many keys was measured for, in milliseconds.
type bigStore struct {
	Title                    string
	Keys                     int
	Empty, Start, Get, Count float64
}

func (r *report) big() error {
	r.printf("\n## Many keys\n\n")
	var all []bigStore
	if there, err := r.read("etcd/big.json", &all); !there || err != nil {
		return err
	}
	r.printf("Each is started again on %d keys; a count is of all of them, after a first one.\n\n"+
		"| | first answer after | ÷ without keys | count ÷ get |\n|---|--:|--:|--:|\n", all[0].Keys)
	for _, s := range all {
		r.printf("| %s | %.1f s | %.2f | %.2f |\n", s.Title, s.Start/1000, s.Start/s.Empty, s.Count/s.Get)
	}
	return nil
}

// ---- Watches and lists ---------------------------------------------------------------------------

func (r *report) watches() error {
	r.printf("\n## 10,000 watches\n\n")
	var all []struct {
		System        string
		Rate          int
		Events        float64
		P50, P99, Max float64
	}
	if there, err := r.read("kubernetes/watches.json", &all); !there || err != nil {
		return err
	}
	r.printf("Each wants another object. On HariKube all watch the whole resource with a selector, etcd is told the keys. " +
		"The lag is from the sending of a write to its event.\n\n" +
		"| | writes per second | events ÷ etcd's | lag p50 ÷ etcd's | p99 ÷ etcd's |\n|---|--:|--:|--:|--:|\n")
	for _, s := range all {
		for _, base := range all {
			if base.System != "etcd" || base.Rate != s.Rate || s.System == "etcd" {
				continue
			}
			rate := "as many as possible"
			if s.Rate > 0 {
				rate = fmt.Sprint(s.Rate)
			}
			r.printf("| %s | %s | %.2f | %.2f | %.2f |\n", titles[s.System], rate, s.Events/base.Events, s.P50/base.P50, s.P99/base.P99)
		}
	}
	return nil
}

func (r *report) lists() error {
	r.printf("\n## Lists through kube-apiserver\n\n")
	var all []struct {
		System      string
		Objects     int
		Title       string
		Found       int
		Median, Max float64
	}
	if there, err := r.read("kubernetes/lists.json", &all); !there || err != nil {
		return err
	}
	r.printf("Of %d custom resources of 1 KiB. Kubernetes on etcd answers from its watch cache, what is not at an old revision. "+
		"Time by time; below 1 is in favour of HariKube.\n\n| | objects found | SQLite ÷ etcd | PostgreSQL ÷ etcd |\n|---|--:|--:|--:|\n", all[0].Objects)
	median := func(system, title string) float64 {
		for _, s := range all {
			if s.System == system && s.Title == title {
				return s.Median
			}
		}
		return 0
	}
	for _, s := range all {
		if s.System != all[0].System {
			continue
		}
		r.printf("| %s | %d |", s.Title, s.Found)
		for _, system := range []string{"sqlite", "postgres"} {
			ours, theirs := median(system, s.Title), median("etcd", s.Title)
			if ours == 0 || theirs == 0 {
				r.printf(" – |")
			} else {
				r.printf(" %.2f |", ours/theirs)
			}
		}
		r.printf("\n")
	}
	return nil
}

// ---- Garbage collection --------------------------------------------------------------------------

func (r *report) garbage() error {
	r.printf("\n## Garbage collection\n\n")
	type puts struct{ P50, P99, Rate float64 }
	var all []struct {
		System, By    string
		Dependents    int
		Seconds       float64
		Quiet, Beside puts
		Points        []struct {
			Seconds, P99 float64
			Left         int64
		}
	}
	if there, err := r.read("kubernetes/garbage.json", &all); !there || err != nil {
		return err
	}
	rate := map[string]float64{} // of the controller manager
	for _, f := range all {
		if f.By != "the store" {
			rate[f.System] = float64(f.Dependents) / f.Seconds
		}
	}
	r.printf("An owner is deleted in the background while 32 clients write. What it owns has the label and goes in the database; or " +
		"has none, and goes by kube-controller-manager with its usual limits.\n\n" +
		"| | dependents | a second ÷ kube-controller-manager's | clients' p50 ÷ before | p99 ÷ before | rate ÷ before |\n|---|--:|--:|--:|--:|--:|\n")
	var left, p99 []line
	for color, f := range all {
		if f.By != "the store" {
			continue
		}
		r.printf("| %s | %d | %.0f | %.2f | %.2f | %.2f |\n", titles[f.System], f.Dependents, float64(f.Dependents)/f.Seconds/rate[f.System],
			f.Beside.P50/f.Quiet.P50, f.Beside.P99/f.Quiet.P99, f.Beside.Rate/f.Quiet.Rate)
		title := fmt.Sprintf("%s, %d", titles[f.System], f.Dependents)
		ofLeft, ofP99 := line{name: title, color: color}, line{name: title, color: color}
		for _, at := range f.Points {
			ofLeft.points = append(ofLeft.points, point{at.Seconds / f.Seconds, float64(at.Left) / float64(f.Dependents)})
			ofP99.points = append(ofP99.points, point{at.Seconds / f.Seconds, at.P99 / f.Quiet.P99})
		}
		left, p99 = append(left, ofLeft), append(p99, ofP99)
	}
	r.printf("\n")
	if err := r.plot("garbage-left", "Dependents that are left", "time, of all", "of all", left); err != nil {
		return err
	}
	return r.plot("garbage-p99", "p99 of the other clients' puts", "time, of all", "÷ before", p99)
}

// ---- Memory and selectors ------------------------------------------------------------------------

func (r *report) memory() error {
	r.printf("\n## Memory of the control plane\n\n")
	return r.include("kubernetes/memory.md", "bench-memory")
}

func (r *report) selectors() error {
	r.printf("\n## Selectors\n\n")
	return r.include("kubernetes/selectors.md", "bench-selectors")
}

// include takes over what a part has written that is not among those of `make bench`.
func (r *report) include(file, target string) error {
	text, err := os.ReadFile(filepath.Join(r.results, file))
	if errors.Is(err, fs.ErrNotExist) {
		r.printf("Not measured. `make bench` leaves it to `make %s`.\n", target)
		return nil
	}
	r.text.Write(text)
	return err
}

// ---- The soak ------------------------------------------------------------------------------------

type soakSample struct {
	Seconds, Rate, P50, P95, P99, Max, Resident, DB, WAL float64
}

type soaked struct {
	Peer, Title     string
	Samples         []soakSample
	Changes, Events int64
	Errors          map[string]int
}

func (r *report) soak() error {
	r.printf("\n## Soak\n\n")
	var all []soaked
	if there, err := r.read("etcd/soak.json", &all); !there || err != nil {
		return err
	}
	minutes := all[0].Samples[len(all[0].Samples)-1].Seconds / 60
	r.printf("Mixed load for %.0f min, all at the same time, with compaction as kube-apiserver asks for it. The medians of the last "+
		"third by those of the middle third, so 1 is no drift:\n\n"+
		"| | throughput | p50 | p99 | memory | database | WAL | longest stall | operations that failed |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", minutes)
	for _, s := range all {
		failed := 0
		for _, count := range s.Errors {
			failed += count
		}
		longest := func(samples []soakSample) float64 {
			return slices.MaxFunc(samples, func(a, b soakSample) int { return cmp.Compare(a.Max, b.Max) }).Max
		}
		third := len(s.Samples) / 3
		middle, last := s.Samples[third:2*third], s.Samples[2*third:]
		drift := func(value func(soakSample) float64) string {
			if m := medianOf(middle, value); m != 0 {
				return fmt.Sprintf("%.2f", medianOf(last, value)/m)
			}
			return "–"
		}
		r.printf("| %s | %s | %s | %s | %s | %s | %s | %.2f | %d |\n", s.Title,
			drift(func(s soakSample) float64 { return s.Rate }), drift(func(s soakSample) float64 { return s.P50 }),
			drift(func(s soakSample) float64 { return s.P99 }), drift(func(s soakSample) float64 { return s.Resident }),
			drift(func(s soakSample) float64 { return s.DB }), drift(func(s soakSample) float64 { return s.WAL }),
			longest(last)/longest(middle), failed)
	}
	r.printf("\n")
	for _, series := range []struct {
		name, title, unit string
		value             func(soakSample) float64
		relative          bool
	}{
		{"rate", "Operations per second", "÷ own median", func(s soakSample) float64 { return s.Rate }, true},
		{"p99", "p99", "÷ own median", func(s soakSample) float64 { return s.P99 }, true},
		{"memory", "Memory of the server", "MiB", func(s soakSample) float64 { return s.Resident }, false},
		{"database", "Size of the database", "MiB", func(s soakSample) float64 { return s.DB }, false},
		{"wal", "Size of the write-ahead log", "MiB", func(s soakSample) float64 { return s.WAL }, false},
	} {
		var lines []line
		for color, s := range all {
			scale := 1.0
			if series.relative {
				scale = medianOf(s.Samples, series.value)
			}
			var points []point
			for _, sample := range s.Samples {
				points = append(points, point{sample.Seconds / 60, series.value(sample) / scale})
			}
			lines = append(lines, line{s.Title, points, color, 0})
		}
		if err := r.plot("soak-"+series.name, series.title, "minutes", series.unit, lines); err != nil {
			return err
		}
	}
	return nil
}

func medianOf(samples []soakSample, value func(soakSample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, value(s))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}
