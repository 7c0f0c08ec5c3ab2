// Command e2e-report writes the results of `make conformance` into docs/conformance.md.
//
//	e2e-report DOCUMENT NOT-APPLICABLE FOLDER SUITE=FOCUS...
//
// FOLDER has a file SUITE.xml of Ginkgo's of each; FOCUS says which tests of Kubernetes' the suite is.
package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	beginMark = "<!-- end-to-end: written by make conformance -->"
	endMark   = "<!-- end of end-to-end -->"
)

// reason is why tests with some names cannot be run.
type reason struct {
	names *regexp.Regexp
	text  string
}

type spec struct {
	Name    string  `xml:"name,attr"`
	Status  string  `xml:"status,attr"`
	Seconds float64 `xml:"time,attr"`
	Skipped *struct {
		Message string `xml:"message,attr"`
	} `xml:"skipped"`
}

// results are those of one group of Kubernetes' authors in one report.
type results struct {
	passed, failed, inapplicable int
	seconds                      float64
}

var group = regexp.MustCompile(`\[sig-[a-z-]+\]`)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: e2e-report DOCUMENT NOT-APPLICABLE FOLDER SUITE=FOCUS...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "e2e-report:", err)
		os.Exit(1)
	}
}

func run(document, inapplicable, folder string, suites []string) error {
	reasons, err := readReasons(inapplicable)
	if err != nil {
		return err
	}
	text, err := render(reasons, folder, suites)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(data), beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return fmt.Errorf("%s lacks the lines %q and %q", document, beginMark, endMark)
	}
	return os.WriteFile(document, []byte(before+beginMark+"\n\n"+text+endMark+after), 0o644)
}

// readReasons reads lines of a pattern, a tab, and a text.
func readReasons(path string) ([]reason, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []reason
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, text, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, fmt.Errorf("%s: no tab in %q", path, line)
		}
		names, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, reason{names, text})
	}
	return all, lines.Err()
}

func render(reasons []reason, folder string, suites []string) (string, error) {
	var table, failures strings.Builder
	because := map[string][]string{}
	table.WriteString("| suite | group | passed | failed | not applicable | seconds |\n|---|---|---:|---:|---:|---:|\n")
	for _, suite := range suites {
		title, pattern, _ := strings.Cut(suite, "=")
		focus, err := regexp.Compile(pattern)
		if err != nil {
			return "", err
		}
		specs, err := read(filepath.Join(folder, title+".xml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		groups := map[string]*results{}
		for _, s := range specs {
			name := strings.TrimPrefix(s.Name, "[It] ")
			if !focus.MatchString(name) {
				continue
			}
			sig := strings.Trim(group.FindString(name), "[]")
			if groups[sig] == nil {
				groups[sig] = &results{}
			}
			r := groups[sig]
			r.seconds += s.Seconds
			switch s.Status {
			case "passed":
				r.passed++
			case "skipped":
				r.inapplicable++
				why := whyNot(s, name, reasons)
				if !slices.Contains(because[why], name) {
					because[why] = append(because[why], name)
				}
			default:
				r.failed++
				fmt.Fprintf(&failures, "- Failed in %s: `%s`\n", title, name)
			}
		}
		for _, sig := range sorted(groups) {
			if r := groups[sig]; r.passed+r.failed > 0 {
				fmt.Fprintf(&table, "| %s | %s | %d | %d | %d | %.0f |\n", title, sig, r.passed, r.failed, r.inapplicable, r.seconds)
			}
		}
	}
	text := table.String() + "\n"
	if failures.Len() > 0 {
		text += failures.String() + "\n"
	}
	if len(because) > 0 {
		text += "| does not apply here | tests |\n|---|---:|\n"
		for _, why := range sorted(because) {
			text += fmt.Sprintf("| %s | %d |\n", strings.ReplaceAll(why, "|", "\\|"), len(because[why]))
		}
		text += "\n"
	}
	return text, nil
}

// whyNot is why a test passed over itself, or was not run.
func whyNot(s spec, name string, reasons []reason) string {
	if s.Skipped != nil {
		if text, ok := strings.CutPrefix(s.Skipped.Message, "skipped - "); ok {
			text, _, _ = strings.Cut(text, "\n")
			return text
		}
	}
	for _, r := range reasons {
		if r.names.MatchString(name) {
			return r.text
		}
	}
	return "not run: there was no time left"
}

func read(path string) ([]spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var report struct {
		Specs []spec `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return slices.DeleteFunc(report.Specs, func(s spec) bool { return !strings.HasPrefix(s.Name, "[It] ") }), nil
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
