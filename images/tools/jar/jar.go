// Package jar changes jars without a change in anything that is not meant: the same bytes for the same request.
package jar

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Change is what Rewrite does.
type Change struct {
	// Drop has the beginnings of the names of entries that are left out.
	Drop []string
	// Set has the new contents of entries, which have to be there.
	Set map[string]string
}

// Rewrite copies a jar with a change. What stays is copied as it is compressed.
func Rewrite(from, to string, change Change) (err error) {
	in, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer in.Close()
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := zip.NewWriter(file)
	set := 0
	for _, entry := range in.File {
		text, changed := change.Set[entry.Name]
		switch {
		case change.drops(entry.Name):
		case changed:
			set++
			header := &zip.FileHeader{Name: entry.Name, Method: zip.Deflate, Modified: entry.Modified.In(time.UTC)}
			writer, err := out.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(writer, text); err != nil {
				return err
			}
		default:
			if err := out.Copy(entry); err != nil {
				return err
			}
		}
	}
	if set != len(change.Set) {
		return fmt.Errorf("%s has not all entries that are to be changed", from)
	}
	return out.Close()
}

func (c Change) drops(name string) bool {
	for _, beginning := range c.Drop {
		if strings.HasPrefix(name, beginning) {
			return true
		}
	}
	return false
}
