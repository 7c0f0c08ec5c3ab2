package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Names in a release need no quoting, wherever they are used.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)

const (
	sumsFile         = "SHA256SUMS"
	signatureFile    = "SHA256SUMS.sig"
	signaturesFile   = "image-signatures.tar" // of the images
	metadataFile     = "metadata.json"
	imagesFile       = "images.txt"
	notesFile        = "release-notes.md"
	largestTextOfOur = 16 << 20
)

// sum is a line of SHA256SUMS.
type sum struct {
	digest, name string
}

var sumForm = regexp.MustCompile(`^([0-9a-f]{64}) [ *](.*)$`)

// parseSums reads what sha256sum writes. It gives the good lines whatever else is wrong.
func parseSums(text []byte) ([]sum, error) {
	var f faults
	var sums []sum
	seen := map[string]bool{}
	content := string(text)
	if strings.Contains(content, "\r") {
		f.add("%s has line ends that are not ours (CR): something has changed it on its way.", sumsFile)
		content = strings.ReplaceAll(content, "\r", "")
	}
	if content == "" {
		f.add("%s is empty.", sumsFile)
	} else if !strings.HasSuffix(content, "\n") {
		f.add("%s is cut off: its last line has no end.", sumsFile)
	}
	number := 0
	for line := range strings.Lines(content) {
		number++
		field := sumForm.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case field == nil:
			f.add("%s, line %d: not a digest and a name.", sumsFile, number)
		case !nameForm.MatchString(field[2]):
			f.add("%s, line %d: %s is no name of a file in this folder.", sumsFile, number, printable(field[2]))
		case field[2] == sumsFile || field[2] == signatureFile || field[2] == signaturesFile:
			f.add("%s, line %d: %s cannot be in it.", sumsFile, number, field[2])
		case seen[field[2]]:
			f.add("%s, line %d: %s is there twice.", sumsFile, number, field[2])
		default:
			seen[field[2]] = true
			sums = append(sums, sum{field[1], field[2]})
		}
	}
	return sums, f.err()
}

func formatSums(sums []sum) []byte {
	sums = slices.Clone(sums)
	slices.SortFunc(sums, func(a, b sum) int { return strings.Compare(a.name, b.name) })
	var text strings.Builder
	for _, s := range sums {
		fmt.Fprintf(&text, "%s  %s\n", s.digest, s.name)
	}
	return []byte(text.String())
}

// openRegular opens a file that is one: no link, which leads elsewhere, and no pipe, which never ends.
func openRegular(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	shown := printable(filepath.Base(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is missing.", shown)
	case errors.Is(err, syscall.ELOOP):
		return nil, fmt.Errorf("%s is a link, not a file.", shown)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w.", shown, errors.Unwrap(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file.", shown)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readRegular is for the small files of a release.
func readRegular(name string) ([]byte, error) {
	f, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, largestTextOfOur+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w.", printable(filepath.Base(name)), err)
	}
	if len(content) > largestTextOfOur {
		return nil, fmt.Errorf("%s is far too large.", printable(filepath.Base(name)))
	}
	return content, nil
}
