// Command alpine-sed does the one thing that vCluster asks of the sed in its image of Alpine: sed -E -e 's/PATTERN/REPLACEMENT/' FILE.
// The pattern has a \d, which Alpine's C library knows; with Debian's nothing would match.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 5 || os.Args[1] != "-E" || os.Args[2] != "-e" {
		fmt.Fprintln(os.Stderr, "usage: sed -E -e s/PATTERN/REPLACEMENT/ FILE")
		os.Exit(1)
	}
	text, err := os.ReadFile(os.Args[4])
	if err == nil {
		text, err = substitute(os.Args[3], text)
	}
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sed:", err)
		os.Exit(1)
	}
}

var group = regexp.MustCompile(`\\(\d)`)

// substitute replaces the first match of each line.
func substitute(command string, text []byte) ([]byte, error) {
	parts := strings.Split(command, "/")
	if len(parts) != 4 || parts[0] != "s" || parts[3] != "" {
		return nil, errors.New("it knows only s/PATTERN/REPLACEMENT/")
	}
	pattern, err := regexp.Compile(parts[1])
	if err != nil {
		return nil, err
	}
	replacement := []byte(group.ReplaceAllString(strings.ReplaceAll(parts[2], "$", "$$"), "$${$1}"))
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i, line := range lines {
		content, ending := bytes.CutSuffix(line, []byte("\n"))
		match := pattern.FindSubmatchIndex(content)
		if match == nil {
			continue
		}
		changed := bytes.Clone(content[:match[0]])
		changed = pattern.Expand(changed, replacement, content, match)
		changed = append(changed, content[match[1]:]...)
		if ending {
			changed = append(changed, '\n')
		}
		lines[i] = changed
	}
	return bytes.Join(lines, nil), nil
}
