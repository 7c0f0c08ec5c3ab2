package main

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// report is what counts of a Surefire report.
type report struct {
	Cases []struct {
		Class   string  `xml:"classname,attr"`
		Name    string  `xml:"name,attr"`
		Failure *string `xml:"failure"`
		Error   *string `xml:"error"`
		Skipped *struct {
			Message string `xml:"message,attr"`
		} `xml:"skipped"`
	} `xml:"testcase"`
}

// runSurefire runs Maven, whose own output tells the failures, and counts its reports. The error is
// that of the command or of the counting.
func runSurefire(command *exec.Cmd, folder string) (counts, error) {
	old, err := reports(folder)
	if err != nil {
		return counts{}, err
	}
	for _, file := range old { // or tests that are gone, or did not run, would count
		if err := os.Remove(file); err != nil {
			return counts{}, err
		}
	}
	command.Stdout = os.Stdout
	commandErr := command.Run()
	c, err := countSurefire(folder)
	return c, errors.Join(commandErr, err)
}

func countSurefire(folder string) (counts, error) {
	var c counts
	files, err := reports(folder)
	if err != nil {
		return c, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return c, err
		}
		var r report
		if err := xml.Unmarshal(text, &r); err != nil {
			return c, fmt.Errorf("%s: %w", file, err)
		}
		for _, test := range r.Cases {
			switch {
			case test.Failure != nil || test.Error != nil:
				c.fail(test.Class+"."+test.Name, *cmp.Or(test.Failure, test.Error))
			case test.Skipped != nil:
				c.Skipped++
				fmt.Printf("    SKIPPED %s.%s: %s\n", test.Class, test.Name, test.Skipped.Message)
			default:
				c.Passed++
			}
		}
	}
	return c, nil
}

func reports(folder string) ([]string, error) {
	return filepath.Glob(filepath.Join(folder, "TEST-*.xml"))
}
