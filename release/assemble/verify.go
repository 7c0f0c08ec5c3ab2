package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func verifyCommand(dist, pubkey string, stdout io.Writer) error {
	r, err := verifyBy(dist, pubkey)
	if err != nil {
		return err
	}
	switch {
	case r.key != nil:
		fmt.Fprintf(stdout, "%s is HariKube %s of commit %.12s, whole and unchanged, and signed by the key %.16s….\n",
			printable(dist), r.Version, r.Commit, fingerprint(r.key))
	case r.signed:
		fmt.Fprintf(stdout, "%s is HariKube %s of commit %.12s, whole and unchanged. Who signed it was not asked: say PUBKEY=file.\n",
			printable(dist), r.Version, r.Commit)
	default:
		fmt.Fprintf(stdout, "%s is HariKube %s of commit %.12s, whole and unchanged. Nobody has signed it.\n",
			printable(dist), r.Version, r.Commit)
	}
	return nil
}

// verified is a release that is as it should be.
type verified struct {
	metadata
	signed bool
	key    crypto.PublicKey // of who has signed it; nil if that was not asked
}

// verifyBy judges a folder by the key of a file, or by none.
func verifyBy(folder, pubkey string) (*verified, error) {
	key, err := readPublicKeyIf(pubkey)
	if err != nil {
		return nil, err
	}
	return verify(folder, key)
}

// verify judges a folder. It trusts nothing in it: names, links, sizes and contents may be anybody's. Without a key it does not
// ask who signed the release.
func verify(folder string, key crypto.PublicKey) (*verified, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w.", printable(folder), errors.Unwrap(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder.", printable(folder))
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w.", printable(folder), errors.Unwrap(err))
	}
	v := &verifier{folder: folder, good: map[string]bool{}}
	text, err := readRegular(v.path(sumsFile))
	if err != nil {
		return nil, fmt.Errorf("%w Without it nothing can be said of the folder.", err)
	}
	sums, err := parseSums(text)
	if err != nil {
		v.faults = append(v.faults, err)
	}
	if len(sums) == 0 {
		return nil, v.faults.err() // everything else would be a fault, too
	}
	for _, s := range sums {
		v.checkSum(s)
	}
	for _, e := range entries {
		name := e.Name()
		known := name == sumsFile || name == signatureFile || name == signaturesFile ||
			slices.ContainsFunc(sums, func(s sum) bool { return s.name == name })
		if !known {
			v.faults.add("%s is not a part of the release.", printable(name))
		}
	}
	r := &verified{key: key}
	if v.good[metadataFile] {
		v.checkMetadata(r, sums)
	} else if !slices.ContainsFunc(sums, func(s sum) bool { return s.name == metadataFile }) {
		v.faults.add("%s does not name %s, so this is no release of ours.", sumsFile, metadataFile)
	}
	v.checkSignatures(r, text, key)
	return r, v.faults.err()
}

type verifier struct {
	folder string
	faults faults
	good   map[string]bool // files that are as SHA256SUMS says
}

func (v *verifier) path(name string) string { return filepath.Join(v.folder, name) }

func (v *verifier) checkSum(s sum) {
	f, err := openRegular(v.path(s.name))
	if err != nil {
		v.faults = append(v.faults, err)
		return
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		v.faults.add("%s cannot be read: %w.", s.name, errors.Unwrap(err))
		return
	}
	if hex.EncodeToString(h.Sum(nil)) != s.digest {
		v.faults.add("%s is not as %s says: it was changed or cut off.", s.name, sumsFile)
		return
	}
	v.good[s.name] = true
}

// checkMetadata looks whether the files say the same of the release and of each other.
func (v *verifier) checkMetadata(r *verified, sums []sum) {
	content, err := readRegular(v.path(metadataFile))
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&r.metadata)
	}
	if err != nil || r.Name != "harikube" || !isVersion(r.Version) || !commitForm(r.Commit) {
		v.faults.add("%s is not one of ours.", metadataFile)
		r.metadata = metadata{}
		return
	}
	named := map[string]artifact{}
	for _, a := range r.Artifacts {
		named[a.Name] = a
	}
	for _, s := range sums {
		a, ok := named[s.name]
		delete(named, s.name)
		switch {
		case s.name == metadataFile:
		case !ok:
			v.faults.add("%s is in %s and not in %s.", s.name, sumsFile, metadataFile)
		case a.SHA256 != s.digest:
			v.faults.add("%s has one digest in %s and another in %s.", s.name, sumsFile, metadataFile)
		case v.good[s.name] && v.size(s.name) != a.Size:
			v.faults.add("%s has another size than %s says.", s.name, metadataFile)
		}
	}
	for _, name := range sortedKeys(named) {
		v.faults.add("%s is in %s and not in %s.", printable(name), metadataFile, sumsFile)
	}
	v.checkImages(r)
	v.checkProvenance(r)
}

func commitForm(id string) bool {
	return (len(id) == 40 || len(id) == 64) && strings.Trim(id, "0123456789abcdef") == ""
}

func (v *verifier) size(name string) int64 {
	info, err := os.Lstat(v.path(name))
	if err != nil {
		return -1
	}
	return info.Size()
}

// checkImages: the archives have the images with the digests that everything else says, and the manifests name no others.
func (v *verifier) checkImages(r *verified) {
	ours := map[string]string{} // digest of what has all platforms, by name
	repositories := map[string]bool{}
	for _, a := range r.Artifacts {
		if a.Kind != kindImage {
			continue
		}
		if a.forAll() {
			ours[a.Image] = a.Digest
		}
		repository, _, _ := strings.Cut(a.Image, ":")
		repositories[repository] = true
		if !v.good[a.Name] {
			continue
		}
		l, err := openLayout(v.path(a.Name))
		if err != nil {
			v.faults = append(v.faults, err)
			continue
		}
		if l.top.Digest != a.Digest || l.ref != a.Image {
			v.faults.add("%s has another image than %s says.", a.Name, metadataFile)
		}
		l.Close()
	}
	listed := map[string]string{}
	if v.good[imagesFile] {
		content, _ := readRegular(v.path(imagesFile))
		for _, line := range strings.Fields(string(content)) {
			ref, digest, _ := strings.Cut(line, "@")
			listed[ref] = digest
		}
		for _, ref := range sortedKeys(ours) {
			if listed[ref] != ours[ref] {
				v.faults.add("%s has another digest of %s than %s.", imagesFile, printable(ref), metadataFile)
			}
		}
	}
	for _, a := range r.Artifacts {
		if a.Kind != kindManifest || !v.good[a.Name] {
			continue
		}
		content, _ := readRegular(v.path(a.Name))
		for _, image := range imagesIn(content) {
			ref, digest, pinned := strings.Cut(image, "@")
			repository, _, _ := strings.Cut(ref, ":")
			known, ok := ours[ref]
			if !repositories[repository] && v.good[imagesFile] {
				known, ok = listed[ref]
			}
			switch {
			case !ok && repositories[repository]:
				v.faults.add("%s names the image %s, which is not in this release.", a.Name, printable(ref))
			case !ok && v.good[imagesFile]:
				v.faults.add("%s names the image %s, which is not in %s.", a.Name, printable(ref), imagesFile)
			case pinned && known != digest:
				v.faults.add("%s names the image %s with another digest than this release has.", a.Name, printable(ref))
			}
		}
	}
}

// checkProvenance: what it says the commit was made into are these files.
func (v *verifier) checkProvenance(r *verified) {
	name := provenanceFile(r.Version)
	if !v.good[name] {
		return
	}
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
		Predicate struct {
			BuildDefinition struct {
				ResolvedDependencies []struct{ Digest map[string]string }
			}
		}
	}
	content, err := readRegular(v.path(name))
	if err == nil {
		err = json.Unmarshal(content, &statement)
	}
	if err != nil {
		v.faults.add("%s cannot be read.", name)
		return
	}
	of := map[string]string{}
	for _, s := range statement.Subject {
		of[s.Name] = s.Digest["sha256"]
	}
	for _, a := range r.Artifacts {
		if a.Kind != kindProvenance && a.Kind != kindNotes && of[a.Name] != a.SHA256 {
			v.faults.add("%s says nothing, or something else, of %s.", name, printable(a.Name))
		}
	}
	materials := statement.Predicate.BuildDefinition.ResolvedDependencies
	if len(materials) == 0 || materials[0].Digest["gitCommit"] != r.Commit {
		v.faults.add("%s is about another commit than %s.", name, metadataFile)
	}
}

// checkSignatures asks whether the key signed the sums and each image, if there is a key to ask.
func (v *verifier) checkSignatures(r *verified, sums []byte, key crypto.PublicKey) {
	signature, err := readRegular(v.path(signatureFile))
	missing := !exists(v.path(signatureFile))
	switch {
	case missing && key == nil:
		if exists(v.path(signaturesFile)) {
			v.faults.add("%s is there without %s.", signaturesFile, signatureFile)
		}
		return
	case missing:
		v.faults.add("Nobody has signed it: %s is missing.", signatureFile)
		return
	case err != nil:
		v.faults = append(v.faults, err)
	case key != nil && !signedBy(key, sums, signature):
		v.faults.add("%s was not signed with this key, or was changed since.", sumsFile)
	}
	r.signed = true
	signed, err := readImageSignatures(v.path(signaturesFile), key)
	if err != nil {
		v.faults = append(v.faults, err)
	}
	if signed == nil {
		return
	}
	for _, want := range r.digests() {
		if ref, ok := signed[want.digest]; !ok || ref != want.ref {
			v.faults.add("%s has no signature of the image %s (%s).", signaturesFile, printable(want.ref), printable(want.digest))
		}
		delete(signed, want.digest)
	}
	for _, digest := range sortedKeys(signed) {
		v.faults.add("%s has a signature of an image that is not in this release: %s.", signaturesFile, printable(digest))
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// digests are those of all images, of all platforms and of each, sorted.
func (m *metadata) digests() []imageDigest {
	var all []imageDigest
	for _, a := range m.Artifacts {
		if a.Kind == kindImage {
			all = append(all, imageDigest{ref: a.Image, digest: a.Digest})
		}
	}
	slices.SortFunc(all, func(a, b imageDigest) int { return strings.Compare(a.ref+a.digest, b.ref+b.digest) })
	return all
}
