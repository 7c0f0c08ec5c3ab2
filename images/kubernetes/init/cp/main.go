// Command cp copies files and folders as vCluster's init container asks for it: `cp -r /kubernetes/. /binaries/`.
//
// It may do so a second time, while a program of the first time runs: each file is written beside its place and then
// renamed. Of the options of other programs of this name only those for what it does anyway are taken.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const usage = "usage: cp [-r] [-f] FROM... TO"

func main() {
	var names []string
	for _, argument := range os.Args[1:] {
		switch argument {
		case "-r", "-R", "-f", "-rf", "-Rf", "--":
		default:
			if strings.HasPrefix(argument, "-") {
				fail(fmt.Errorf("there is no option %s\n%s", argument, usage))
			}
			names = append(names, argument)
		}
	}
	if len(names) < 2 {
		fail(errors.New(usage))
	}
	to := names[len(names)-1]
	for _, from := range names[:len(names)-1] {
		if err := copyInto(from, to, len(names) > 2); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cp:", err)
	os.Exit(1)
}

// copyInto copies below a folder that is there, else under the name itself. What is in `folder/.` has no name to keep.
func copyInto(from, to string, several bool) error {
	info, err := os.Stat(to)
	switch {
	case err == nil && info.IsDir():
		if base := filepath.Base(from); !strings.HasSuffix(from, "/.") && base != "." {
			to = filepath.Join(to, base)
		}
	case several:
		return fmt.Errorf("%s is not a folder", to)
	}
	return copyAll(filepath.Clean(from), to)
}

func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		// Links are followed.
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		switch {
		case info.IsDir() && entry.IsDir():
			return os.MkdirAll(target, info.Mode().Perm()|0o700)
		case info.Mode().IsRegular():
			return copyFile(path, target, info.Mode().Perm())
		}
		return fmt.Errorf("%s is neither a file nor a folder", path)
	})
}

func copyFile(from, to string, mode fs.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".cp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	if _, err = io.Copy(out, in); err == nil {
		err = out.Chmod(mode)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}
