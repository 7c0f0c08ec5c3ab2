package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of what a build's output is about
	FailedBuild                   string // the ImportPath that a package failed for
	Elapsed                       float64
}

// runGo runs a command that writes the lines of `go test -json`. The error is that of the command or of
// the counting.
func runGo(command *exec.Cmd) (counts, error) {
	stdout, err := command.StdoutPipe()
	if err != nil {
		return counts{}, err
	}
	if err := command.Start(); err != nil {
		return counts{}, err
	}
	c, err := countGo(stdout)
	return c, errors.Join(err, command.Wait())
}

// countGo counts the tests that have no subtests and shows each as it ends, the failed ones with what
// they wrote. A test with subtests counts only if it fails though none of them did; so does a package.
func countGo(lines io.Reader) (counts, error) {
	var c counts
	output := map[string]*strings.Builder{} // of what has not ended, by package and test
	builds := map[string]string{}           // what a compiler said, by import path
	parents := map[string]bool{}            // what has had a subtest, or a package a test
	failed := map[string]bool{}             // parents of what failed
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			fmt.Println(scanner.Text()) // not for us: a tool's own words
			continue
		}
		name := e.Package
		if e.Test != "" {
			name += "/" + e.Test
		}
		switch e.Action {
		case "run":
			parents[parent(name, e)] = true
		case "build-output":
			builds[e.ImportPath] += e.Output
			fmt.Print(e.Output)
		case "output":
			if output[name] == nil {
				output[name] = &strings.Builder{}
			}
			output[name].WriteString(e.Output)
		case "pass", "fail", "skip":
			text := output[name]
			delete(output, name)
			switch {
			case e.Action == "fail" && !failed[name]:
				said := ""
				if text != nil {
					said = text.String()
				}
				c.fail(name, builds[e.FailedBuild]+said)
				fmt.Printf("    FAILED  %s (%.1f s)\n", name, e.Elapsed)
				fmt.Print(said)
			case e.Action == "skip" && e.Test != "" && !parents[name]:
				c.Skipped++
				fmt.Printf("    SKIPPED %s\n%s", name, text)
			case e.Action == "pass" && e.Test != "" && !parents[name]:
				c.Passed++
				fmt.Printf("    passed  %s (%.1f s)\n", name, e.Elapsed)
			}
			if e.Action == "fail" {
				failed[parent(name, e)] = true
			}
		}
	}
	return c, scanner.Err()
}

// parent is the test of a subtest, the package of a test, and nothing for a package.
func parent(name string, e event) string {
	if e.Test == "" {
		return ""
	}
	return name[:strings.LastIndex(name, "/")]
}
