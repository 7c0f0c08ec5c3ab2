package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"harikube/conformance/storage/gotest"
)

// failuresFile has a line "package test" for every test that fails on etcd.
const failuresFile = "etcd-failures.txt"

const (
	beginMark = "<!-- results: written by make conformance-report -->"
	endMark   = "<!-- end of results -->"
)

var stores = []string{"etcd", "sqlite", "postgres"}

func readFailures(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Split(string(data), "\n"), err
}

// report writes the kept results between the marks of the document, and etcd-failures.txt if
// there are results of etcd.
func report(kept, document string) error {
	results, err := load(kept)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(data), beginMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the lines %q and %q", document, beginMark, endMark)
	}
	text := before + beginMark + "\n\n" + table(results) + "\n" + failures(results) + endMark + after
	if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
		return err
	}

	var onEtcd strings.Builder
	for _, r := range results {
		if r.Store == "etcd" {
			for _, test := range r.Failed() {
				fmt.Fprintln(&onEtcd, r.Package, test)
			}
		}
	}
	if !slices.ContainsFunc(results, func(r gotest.Result) bool { return r.Store == "etcd" }) {
		return nil
	}
	return os.WriteFile(failuresFile, []byte(onEtcd.String()), 0o644)
}

func load(kept string) ([]gotest.Result, error) {
	files, err := filepath.Glob(filepath.Join(kept, "*", "*.json"))
	if err != nil {
		return nil, err
	}
	var results []gotest.Result
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r gotest.Result
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, errors.New("nothing has been run yet")
	}
	slices.SortStableFunc(results, func(a, b gotest.Result) int {
		return cmp.Or(cmp.Compare(a.Title(), b.Title()), cmp.Compare(slices.Index(stores, a.Store), slices.Index(stores, b.Store)))
	})
	return results, nil
}

func table(results []gotest.Result) string {
	var b strings.Builder
	b.WriteString("| package | tests | etcd | SQLite | PostgreSQL |\n|---|---:|---|---|---|\n")
	for len(results) > 0 {
		title := results[0].Title()
		cells := map[string]string{}
		tests := 0
		for len(results) > 0 && results[0].Title() == title {
			r := results[0]
			tests = max(tests, len(r.Tests))
			cells[r.Store] = cell(r)
			results = results[1:]
		}
		fmt.Fprintf(&b, "| %s | %d |", quoted(title), tests)
		for _, s := range stores {
			fmt.Fprintf(&b, " %s |", cmp.Or(cells[s], "not run"))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// quoted has the package of a title as code, without the version.
func quoted(title string) string {
	pkg, version, _ := strings.Cut(title, " ")
	return strings.TrimSpace("`" + pkg + "` " + version)
}

func cell(r gotest.Result) string {
	s := fmt.Sprintf("%d passed", r.Count(gotest.Pass))
	if n := r.Count(gotest.Fail); n > 0 {
		s += fmt.Sprintf(", **%d failed**", n)
	}
	if n := r.Count(gotest.Skip); n > 0 {
		s += fmt.Sprintf(", %d skipped", n)
	}
	return s + fmt.Sprintf(" (%.0f s)", r.Seconds)
}

func failures(results []gotest.Result) string {
	var b strings.Builder
	for _, r := range results {
		if names := r.Failed(); len(names) > 0 {
			fmt.Fprintf(&b, "- Failed on %s in %s: `%s`\n", r.Store, quoted(r.Title()), strings.Join(names, "`, `"))
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}
