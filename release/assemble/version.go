package main

import (
	"fmt"
	"regexp"

	"golang.org/x/mod/semver"
)

var versionForm = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)

// The version becomes a part of tags of images, which have at most 128 characters.
const longestVersion = 64

// parseVersion refuses what is no version of ours: semantic versioning with a v in front, all three numbers, and nothing
// after a plus, which no tag of an image can have.
func parseVersion(version string) error {
	if version == "" {
		return fmt.Errorf("A release needs a version: say VERSION=vX.Y.Z.")
	}
	if len(version) > longestVersion || !versionForm.MatchString(version) || !semver.IsValid(version) {
		return fmt.Errorf("%.80q is no version: it has the form vX.Y.Z or, before a release, vX.Y.Z-rc.1.", version)
	}
	return nil
}

func isVersion(name string) bool {
	return parseVersion(name) == nil
}

// newest is the highest of versions, or nothing of none.
func newest(versions []string) string {
	last := ""
	for _, v := range versions {
		if last == "" || semver.Compare(v, last) > 0 {
			last = v
		}
	}
	return last
}
