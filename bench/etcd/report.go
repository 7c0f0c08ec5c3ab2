package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report prints the ratios and writes them and the details to files. It fails if HariKube did.
func (b *bench) report() error {
	ratios := filepath.Join(b.options.out, "ratios.md")
	details := filepath.Join(b.options.out, "details.md")
	text := b.heading() + b.tables()
	fmt.Printf("\n%s\n", text)
	if err := os.WriteFile(ratios, []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(details, []byte(b.heading()+b.details()), 0o644); err != nil {
		return err
	}
	if err := b.save(filepath.Join(b.options.out, "results.json")); err != nil {
		return err
	}
	fmt.Printf("The ratios are in %s, the absolute values in %s.\n", b.shown(ratios), b.shown(details))
	for _, p := range b.ours() {
		for _, s := range b.steps {
			if summarize(b.results[p.name][s.id()]).failed > 0 {
				return fmt.Errorf("%s failed", p.title)
			}
		}
	}
	return nil
}

// row is a line of results.json: medians of the rounds, times in milliseconds.
type row struct {
	Load, Title, Peer, PeerTitle string
	Clients                      int
	Rate, P50, P95, P99          float64
	Rounds, FailedRounds         int
	Operations, Errors           int
	Notes                        []string `json:",omitempty"`
	// Against are the cells of HariKube's tables: its ratios to another program.
	Against map[string][3]string `json:",omitempty"`
}

// save writes what other programs make of it.
func (b *bench) save(file string) error {
	var rows []row
	for _, p := range b.peers {
		for _, s := range b.steps {
			results := b.results[p.name][s.id()]
			if len(results) == 0 {
				continue
			}
			m := summarize(results)
			milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			r := row{Load: s.name, Title: s.title, Peer: p.name, PeerTitle: p.title, Clients: s.count, Rate: m.rate,
				P50: milliseconds(m.p50), P95: milliseconds(m.p95), P99: milliseconds(m.p99),
				Rounds: m.rounds, FailedRounds: m.failed, Operations: m.attempts, Errors: m.errors}
			for _, result := range results {
				r.Notes = append(r.Notes, result.notes...)
			}
			if p.program == "harikube" {
				r.Against = map[string][3]string{}
				for _, other := range b.against(p) {
					r.Against[other.program] = ratios(m, summarize(b.results[other.name][s.id()]))
				}
			}
			rows = append(rows, r)
		}
	}
	data, err := json.MarshalIndent(struct {
		Began    time.Time
		Machine  string
		Versions map[string]string
		Notes    []string
		Rows     []row
	}{b.began, machine(), b.versions, b.notes, rows}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func (b *bench) shown(path string) string {
	if folder, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(folder, path); err == nil {
			return relative
		}
	}
	return path
}

func (b *bench) heading() string {
	var t strings.Builder
	o := b.options
	fmt.Fprintf(&t, "# HariKube, etcd and kine side by side\n\n%s; %s.\n\n", b.began.UTC().Format(time.DateOnly), machine())
	for _, program := range slices.Sorted(maps.Keys(b.versions)) {
		fmt.Fprintf(&t, "- %s %s\n", strings.Replace(program, "harikube", "HariKube", 1), b.versions[program])
	}
	fmt.Fprintf(&t, "\nValues of %d bytes, a connection per %d clients, no TLS. %s of warm-up before each %s; medians of %d\n"+
		"rounds, and of the ratios in each of them; in a round each peer has fresh data, and all loads run on it in the order of the rows.\n"+
		"Unless said otherwise here, all peers write to disk what they acknowledge. The client runs on the same machine.\n",
		o.valueSize, o.perConnection, o.warmup, o.window, o.rounds)
	if slices.Contains(o.loads, "watch") || slices.Contains(o.loads, "watch-flood") {
		fmt.Fprintf(&t, "Loads of watches: %d watches share %d prefixes; the rate is that of the events, p50 and p99 are the time\n"+
			"from the sending of a write to the arrival of an event of it, p99 that of the median second. At a given rate: %d writes a second.\n",
			o.watchers, o.watchPrefixes, o.watchRate)
	}
	for _, note := range b.notes {
		fmt.Fprintf(&t, "\n%s\n", note)
	}
	return t.String()
}

func (b *bench) ours() []peer {
	return slices.DeleteFunc(slices.Clone(b.peers), func(p peer) bool { return p.program != "harikube" })
}

// against are the peers to compare with: etcd, and kine on the same database, so that the program's
// name is enough in the table.
func (b *bench) against(ours peer) []peer {
	return slices.DeleteFunc(slices.Clone(b.peers), func(p peer) bool {
		return p.program == "harikube" || p.program == "kine" && p.postgres != ours.postgres
	})
}

func (b *bench) tables() string {
	var t strings.Builder
	if len(b.ours()) == 0 {
		t.WriteString("\nHariKube was not measured, so that there are no ratios.\n")
		b.troubles(&t)
		return t.String()
	}
	t.WriteString("\nA rate above 1 and a latency below 1 are in favour of HariKube.\n")
	for _, ours := range b.ours() {
		others := b.against(ours)
		if len(others) == 0 {
			fmt.Fprintf(&t, "\n## %s\n\nNothing to compare with was measured.\n", ours.title)
			continue
		}
		b.table(&t, ours, others)
	}
	b.troubles(&t)
	return t.String()
}

func (b *bench) table(t *strings.Builder, ours peer, others []peer) {
	fmt.Fprintf(t, "\n## %s\n\n| load | clients |", ours.title)
	for _, p := range others {
		fmt.Fprintf(t, " rate ÷ %s | p50 ÷ %[1]s | p99 ÷ %[1]s |", p.program)
	}
	t.WriteString("\n|---|--:|" + strings.Repeat("--:|", 3*len(others)) + "\n")
	for _, s := range b.steps {
		fmt.Fprintf(t, "| %s | %d |", s.title, s.count)
		mine := summarize(b.results[ours.name][s.id()])
		for _, p := range others {
			for _, cell := range ratios(mine, summarize(b.results[p.name][s.id()])) {
				fmt.Fprintf(t, " %s |", cell)
			}
		}
		t.WriteString("\n")
	}
}

// troubles lists what the medians do not show.
func (b *bench) troubles(t *strings.Builder) {
	t.WriteString("\n## Errors\n\n")
	none := true
	for _, p := range b.peers {
		for _, s := range b.steps {
			results := b.results[p.name][s.id()]
			text := summarize(results).troubles()
			if text == "" {
				continue
			}
			none = false
			fmt.Fprintf(t, "- %s, %s, %d clients: %s.\n", p.title, s.title, s.count, text)
			writeFailures(t, results)
		}
	}
	if none {
		t.WriteString("None.\n")
	}
}

// writeFailures tells each reason once, with the end of the log where a server stopped.
func writeFailures(t *strings.Builder, results []*result) {
	reasons := map[string]int{}
	for _, r := range results {
		for text, count := range r.failures {
			reasons[text] += count
		}
	}
	for _, text := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(t, "  - %d times: %s\n", reasons[text], text)
	}
	for _, r := range results {
		if r.err != nil {
			fmt.Fprintf(t, "  - %s\n", strings.ReplaceAll(r.err.Error(), "\n", "\n    "))
			return // the other rounds' are alike; the logs have them all
		}
	}
}

func (b *bench) details() string {
	var t strings.Builder
	t.WriteString("\n| load | clients | peer | round | operations/s | p50 | p99 | failed operations | remarks |\n" +
		"|---|--:|---|--:|--:|--:|--:|--:|---|\n")
	for _, s := range b.steps {
		for _, p := range b.peers {
			results := b.results[p.name][s.id()]
			for round, r := range results {
				remark := strings.Join(r.notes, "; ")
				if r.err != nil {
					remark, _, _ = strings.Cut("failed: "+r.err.Error(), "\n")
				}
				writeRow(&t, s, p, fmt.Sprint(round+1), r.rate, r.p50, r.p99, r.errors(), remark)
			}
			if m := summarize(results); m.measured() {
				writeRow(&t, s, p, "median", m.rate, m.p50, m.p99, m.errors, "")
			}
		}
	}
	b.troubles(&t)
	return t.String()
}

func writeRow(t *strings.Builder, s step, p peer, round string, rate float64, p50, p99 time.Duration, errors int, remark string) {
	fmt.Fprintf(t, "| %s | %d | %s | %s | %.0f | %s | %s | %d | %s |\n",
		s.title, s.count, p.title, round, rate, short(p50), short(p99), errors, strings.ReplaceAll(remark, "|", "/"))
}

// short has three digits after the point of a millisecond, and no more.
func short(d time.Duration) string {
	return d.Round(time.Microsecond).String()
}
