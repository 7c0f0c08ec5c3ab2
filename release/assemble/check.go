package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// source is a commit that can be released, and the version that it gets.
type source struct {
	*repository
	version  string
	previous string // the version before, or nothing
	kept     []entry
}

func checkCommand(root, version, manifests string, stdout io.Writer) error {
	s, err := check(root, version)
	if err != nil {
		return err
	}
	// Without generated manifests there is nothing to compare: make asks again when they are there.
	if _, err := os.Stat(s.path(manifests)); err == nil && len(s.kept) > 0 {
		generated, err := readManifests(s.path(manifests), version)
		if err == nil {
			err = s.checkKept(generated)
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "%s can be made of commit %.12s.\n", version, s.commit)
	return nil
}

// check refuses what cannot be released whatever is built of it.
func check(root, version string) (*source, error) {
	var f faults
	if err := parseVersion(version); err != nil {
		return nil, err
	}
	r, err := openRepository(root)
	if err != nil {
		return nil, err
	}
	s := &source{repository: r, version: version}
	changed, err := r.changes()
	if err != nil {
		return nil, err
	}
	if len(changed) > 0 {
		f.add("The tree is not as commit %.12s has it, so nobody could make this release again: %s.", r.commit, few(changed))
	}
	shallow, err := r.shallow()
	if err != nil {
		return nil, err
	}
	if shallow {
		f.add("This clone is shallow, so neither the last version nor what came after it is known: git fetch --unshallow --tags")
	}
	if err := s.checkVersion(); err != nil {
		f = append(f, err)
	}
	if err := s.checkSecrets(); err != nil {
		f = append(f, err)
	}
	return s, f.err()
}

// checkVersion finds the version before, and whether this one is above it. A version whose tag is on HEAD is being made
// again: then only what came before HEAD counts, as a later one may have been made since.
func (s *source) checkVersion() error {
	kept, err := s.repository.kept()
	if err != nil {
		return err
	}
	tagged := s.tagged(s.version)
	if tagged != "" && tagged != s.commit {
		return fmt.Errorf("%s is the tag of commit %.12s and cannot be given to %.12s, too.", s.version, tagged, s.commit)
	}
	before, err := s.versionTags(true)
	if err != nil {
		return err
	}
	all, err := s.versionTags(false)
	if err != nil {
		return err
	}
	for version := range kept {
		before = append(before, version)
		all = append(all, version)
	}
	itself := func(v string) bool { return v == s.version }
	before = slices.DeleteFunc(before, itself)
	all = slices.DeleteFunc(all, itself)
	rivals := all
	if tagged != "" {
		rivals = before
	}
	if last := newest(rivals); last != "" && semver.Compare(s.version, last) <= 0 {
		return fmt.Errorf("%s is not above %s, the last version.", s.version, last)
	}
	s.previous = newest(before)
	s.kept = kept[s.version]
	return nil
}

// checkKept compares the manifests that are kept of this version, if they are, with those that it would have.
func (s *source) checkKept(generated map[string][]byte) error {
	if len(s.kept) == 0 {
		return nil
	}
	folder := keptFolder + "/" + s.version
	found, err := s.differences(s.kept, folder, keepable(generated))
	if err != nil {
		return err
	}
	if len(found) > 0 {
		slices.Sort(found)
		return fmt.Errorf("%s differs from the manifests that this commit makes: %s. `make keep-manifests VERSION=%s` keeps them anew.",
			folder, few(found), s.version)
	}
	return nil
}

// few names some of many.
func few(names []string) string {
	const most = 8
	rest := ""
	if len(names) > most {
		rest = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = printable(name)
	}
	return strings.Join(shown, ", ") + rest
}

// printable is a name as it is, or quoted if a terminal would not show it as it is.
func printable(name string) string {
	for _, c := range name {
		if c < ' ' || c == 0x7f || c == '\u2028' || c == 0xfffd || 0x80 <= c && c < 0xa0 || 0x202a <= c && c <= 0x202e || 0x2066 <= c && c <= 0x2069 {
			return fmt.Sprintf("%+q", name)
		}
	}
	return name
}
