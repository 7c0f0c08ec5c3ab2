// Command tally counts tests, so that `make test` can end with one line over all its parts, whatever
// runs them.
//
//	tally part -name NAME -results DIR [-surefire DIR] COMMAND…   run one part and keep its counts
//	tally sum -results DIR NAME…                                  add up the parts of these names
//
// Without -surefire the command is expected to write what `go test -json` writes. Both end with status
// 1 if a test failed. A command that fails without a failed test (it did not compile, say) counts as
// one failed test, and so does a part that left no counts.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// counts is what one part comes to, and what is kept of it in a file.
type counts struct {
	Passed, Failed, Skipped int
	Failures                string // the failed tests, each with the beginning of what it said
}

// fail counts a failed test, of whose words the first lines are kept.
func (c *counts) fail(name, text string) {
	c.Failed++
	lines := strings.SplitN(strings.TrimRight(text, "\n"), "\n", failureLines+1)
	c.Failures += "    FAILED  " + name + "\n"
	for _, line := range lines[:min(len(lines), failureLines)] {
		if line != "" {
			c.Failures += "        " + line + "\n"
		}
	}
}

// Of each failure, so many lines are said once more at the end.
const failureLines = 10

func main() {
	err := errors.New("usage: tally part|sum …")
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "part":
			err = part(os.Args[2:])
		case "sum":
			err = sum(os.Stdout, os.Args[2:])
		}
	}
	if err != nil {
		if !errors.Is(err, errFailed) {
			fmt.Fprintln(os.Stderr, "tally:", err)
		}
		os.Exit(1)
	}
}

// errFailed is a failure of which everything has been said.
var errFailed = errors.New("tests failed")

func part(args []string) error {
	flags := flag.NewFlagSet("part", flag.ExitOnError)
	name := flags.String("name", "", "what the part is called")
	results := flags.String("results", "", "folder for the counts")
	surefire := flags.String("surefire", "", "folder of the reports that the command writes")
	_ = flags.Parse(args)
	if *name == "" || *results == "" || flags.NArg() == 0 {
		return errors.New("part needs -name, -results and a command")
	}
	command := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	command.Stderr = os.Stderr

	fmt.Printf("== %s\n", *name)
	var c counts
	var err error
	if *surefire != "" {
		c, err = runSurefire(command, *surefire)
	} else {
		c, err = runGo(command)
	}
	if err != nil && c.Failed == 0 {
		fmt.Printf("%s: %v\n", command, err)
		c.fail(*name, err.Error())
	}
	skipped := ""
	if c.Skipped > 0 {
		skipped = fmt.Sprintf(", %d SKIPPED", c.Skipped)
	}
	fmt.Printf("== %s: %d passed, %d failed%s\n", *name, c.Passed, c.Failed, skipped)

	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*results, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(resultFile(*results, *name), text, 0o644); err != nil {
		return err
	}
	if c.Failed > 0 {
		return errFailed
	}
	return nil
}

func resultFile(folder, part string) string {
	return filepath.Join(folder, part+".json")
}

func sum(out io.Writer, args []string) error {
	flags := flag.NewFlagSet("sum", flag.ExitOnError)
	results := flags.String("results", "", "folder of the counts")
	_ = flags.Parse(args)
	if *results == "" || flags.NArg() == 0 {
		return errors.New("sum needs -results and the names of the parts")
	}
	var total counts
	failures := ""
	for _, name := range flags.Args() {
		var c counts
		text, err := os.ReadFile(resultFile(*results, name))
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			fmt.Fprintf(out, "%s did not come to an end.\n", name)
			c.fail(name, "it did not come to an end")
		}
		if c.Failures != "" {
			failures += "== " + name + "\n" + c.Failures
		}
		total.Passed += c.Passed
		total.Failed += c.Failed
		total.Skipped += c.Skipped
	}
	if total.Skipped > 0 {
		fmt.Fprintf(out, "%d tests were SKIPPED; the reasons are above.\n", total.Skipped)
	}
	// Once more: where a log is long, its middle is not always kept.
	fmt.Fprint(out, failures)
	fmt.Fprintf(out, "%d passed, %d failed\n", total.Passed, total.Failed)
	if total.Failed > 0 {
		return errFailed
	}
	return nil
}
