package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// The file that allows what only looks like a secret: in each line a fingerprint, and what it is for the reader.
const allowedFile = "release/secrets-allowed"

// rule is one look of a secret. To look for an anchor is quick; the expression is asked around one only.
type rule struct {
	what          string
	anchors       []string
	before, after int // bytes around the anchor that can belong to the secret
	form          *regexp.Regexp
	textOnly      bool // in programs it would find what is none
	harmless      func(found []byte) bool
}

var rules = []rule{
	{
		what: "a private key", anchors: []string{"PRIVATE KEY"}, before: 40, after: 8192,
		// A key, not the words that a program has to look for keys: a line's worth of base64 has to follow, as it is or in a string
		// of some language.
		form: regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:[\s"'+,\\]|\\[nr]|[A-Za-z-]+: [^\n]*)*[A-Za-z0-9+/=]{40,}`),
	},
	{what: "a key of age", anchors: []string{"AGE-SECRET-KEY-1"}, after: 80, form: regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]{50,}`)},
	{what: "a key of AWS", anchors: []string{"AKIA", "ASIA"}, before: 1, after: 20, textOnly: true,
		form: regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z2-7]{16}\b`)},
	{what: "a token of GitHub", anchors: []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, after: 80,
		form: regexp.MustCompile(`\bgh[pousr]_[0-9A-Za-z]{36,}`)},
	{what: "a token of GitHub", anchors: []string{"github_pat_"}, after: 100, form: regexp.MustCompile(`github_pat_[0-9A-Za-z_]{60,}`)},
	{what: "a token of GitLab", anchors: []string{"glpat-"}, after: 60, form: regexp.MustCompile(`glpat-[0-9A-Za-z_-]{20,}`)},
	{what: "a token of Slack", anchors: []string{"xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-"}, after: 80,
		form: regexp.MustCompile(`\bxox[bpars]-[0-9]{6,}-[0-9A-Za-z-]{12,}`)},
	{what: "a key of Google", anchors: []string{"AIza"}, after: 40, textOnly: true, form: regexp.MustCompile(`AIza[0-9A-Za-z_-]{35}`)},
	{what: "a token of npm", anchors: []string{"npm_"}, after: 50, form: regexp.MustCompile(`\bnpm_[0-9A-Za-z]{36}\b`)},
	{what: "a token of PyPI", anchors: []string{"pypi-AgE"}, after: 120, form: regexp.MustCompile(`pypi-AgE[0-9A-Za-z_-]{50,}`)},
	{what: "a token of Docker Hub", anchors: []string{"dckr_pat_"}, after: 60, form: regexp.MustCompile(`dckr_pat_[0-9A-Za-z_-]{20,}`)},
	{what: "a token of Vault", anchors: []string{"hvs."}, after: 120, form: regexp.MustCompile(`\bhvs\.[0-9A-Za-z_-]{24,}`)},
	{what: "a key of Stripe", anchors: []string{"sk_live_", "rk_live_"}, after: 60, form: regexp.MustCompile(`[sr]k_live_[0-9A-Za-z]{20,}`)},
	{what: "an API key", anchors: []string{"sk-ant-", "sk-proj-"}, after: 120, textOnly: true,
		form: regexp.MustCompile(`\bsk-(?:ant|proj)-[0-9A-Za-z_-]{40,}`)},
	{what: "a token that is signed", anchors: []string{"eyJ"}, after: 4096,
		form: regexp.MustCompile(`eyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}`)},
	{what: "a login to a registry", anchors: []string{`"auth"`}, after: 400, textOnly: true,
		form: regexp.MustCompile(`"auth"\s*:\s*"[0-9A-Za-z+/]{12,}={0,2}"`)},
	{what: "the key of a certificate or account", anchors: []string{"client-key-data:", "client_secret"}, after: 400, textOnly: true,
		form: regexp.MustCompile(`(?:client-key-data:\s*|client_secret["']?\s*[:=]\s*["'])[0-9A-Za-z+/=_-]{16,}`)},
	{
		what: "a password in a URL", anchors: []string{"://"}, before: 20, after: 300, textOnly: true,
		form:     regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]{1,18}://[^\s/:@"'<>|` + "`" + `]*:[^\s/"|` + "`" + `]{1,100}@[A-Za-z0-9\[]`),
		harmless: noPassword,
	},
}

// Names of files that are a secret whatever is in them.
var secretNames = regexp.MustCompile(`(?i)(^|[/!])(id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(p12|pfx|jks|keystore|kdbx|ppk)|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.pgpass|\.vault-token|\.docker/config\.json|kubeconfig|cosign\.key)$`)

// noPassword is true for what stands where a password would stand: a variable, a part of a form, a word for it. A password of three
// letters, or the user's name again, is one that nobody keeps.
func noPassword(found []byte) bool {
	_, rest, _ := bytes.Cut(found, []byte("://"))
	user, rest, _ := bytes.Cut(rest, []byte(":"))
	password := rest[:bytes.LastIndexByte(rest, '@')]
	switch {
	case len(password) < 4, bytes.Equal(user, password):
		return true
	case bytes.ContainsAny(password[:1], "$%<{[(*#"), bytes.HasPrefix(password, []byte("…")):
		return true
	}
	switch strings.ToLower(string(password)) {
	case "password", "passwd", "pass", "pwd":
		return true
	}
	return false
}

// finding is something that looks like a secret. It is never shown, only where it is.
type finding struct {
	where, what string
	line        int    // of a text, from 1
	fingerprint string // of what was found, so that the same thing is allowed wherever it is, and nothing else beside it
}

type scanner struct {
	allowed  map[string]bool
	findings []finding
	seen     map[string]bool // blobs of images, and large files by their digest, which several archives have
}

func newScanner(allowed []byte) (*scanner, error) {
	s := &scanner{allowed: map[string]bool{}, seen: map[string]bool{}}
	number := 0
	for line := range strings.Lines(string(allowed)) {
		number++
		field := strings.Fields(line)
		if len(field) == 0 || strings.HasPrefix(field[0], "#") {
			continue
		}
		if len(field) < 2 || !fingerprintForm.MatchString(field[0]) {
			return nil, fmt.Errorf("%s, line %d: a line is a fingerprint of 16 digits and what it belongs to.", allowedFile, number)
		}
		s.allowed[field[0]] = true
	}
	return s, nil
}

var fingerprintForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// The largest file that is looked at as a whole, and how deep archives are in archives.
const (
	largestFile    = 1 << 30
	deepestArchive = 6
)

func (s *scanner) found(where, what string, line int, secret []byte) {
	f := finding{where, what, line, sha256Of(secret)[:16]}
	if !s.allowed[f.fingerprint] {
		s.findings = append(s.findings, f)
	}
}

// content looks at a file's bytes, and if they are an archive, at what is in it.
func (s *scanner) content(where string, content []byte) error {
	return s.contentAt(where, content, 0)
}

func (s *scanner) contentAt(where string, content []byte, depth int) error {
	if secretNames.MatchString(where) {
		s.found(where, "a file of secrets, by its name", 0, content)
	}
	if depth > deepestArchive {
		return fmt.Errorf("%s is an archive in too many others to be looked at.", printable(where))
	}
	if len(content) >= 64<<10 {
		digest := sha256Of(content)
		if s.seen[digest] {
			return nil
		}
		s.seen[digest] = true
	}
	switch {
	case bytes.HasPrefix(content, []byte{0x1f, 0x8b}):
		return s.gzipped(where, bytes.NewReader(content), depth)
	case isTar(content):
		return s.tarred(where, bytes.NewReader(content), depth)
	case bytes.HasPrefix(content, []byte("PK\x03\x04")):
		return s.zipped(where, content, depth)
	}
	s.text(where, content)
	return nil
}

// text looks for the rules' secrets. A program is a file with a zero byte, as git has it.
func (s *scanner) text(where string, content []byte) {
	program := bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0
	for _, r := range rules {
		if program && r.textOnly {
			continue
		}
		for _, anchor := range r.anchors {
			for at := 0; ; {
				i := bytes.Index(content[at:], []byte(anchor))
				if i < 0 {
					break
				}
				begin := at + i
				end := begin + len(anchor)
				from := max(at, begin-r.before)
				window := content[from:min(len(content), end+r.after)]
				at = end
				if found := r.form.FindIndex(window); found != nil {
					secret := window[found[0]:found[1]]
					at = max(at, from+found[1])
					if r.harmless == nil || !r.harmless(secret) {
						line := 0
						if !program {
							line = 1 + bytes.Count(content[:from+found[0]], []byte("\n"))
						}
						s.found(where, r.what, line, secret)
					}
				}
			}
		}
	}
}

func isTar(content []byte) bool {
	return len(content) >= 512 && string(content[257:262]) == "ustar"
}

func (s *scanner) gzipped(where string, r io.Reader, depth int) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%s cannot be unpacked: %w", printable(where), err)
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(z, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return fmt.Errorf("%s cannot be unpacked: %w", printable(where), err)
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), z)
	if isTar(head[:n]) {
		return s.tarred(where, whole, depth)
	}
	return s.whole(where, whole, depth+1)
}

func (s *scanner) tarred(where string, r io.Reader, depth int) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s cannot be unpacked: %w", printable(where), err)
		}
		if strings.HasPrefix(h.Name, "blobs/sha256/") {
			if s.seen[h.Name] {
				continue
			}
			s.seen[h.Name] = true
		}
		if h.Typeflag == tar.TypeReg {
			if err := s.whole(where+"!"+h.Name, t, depth+1); err != nil {
				return err
			}
		}
	}
}

func (s *scanner) zipped(where string, content []byte, depth int) error {
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return fmt.Errorf("%s cannot be unpacked: %w", printable(where), err)
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() || path.Ext(f.Name) == ".class" && f.UncompressedSize64 < 300 {
			continue
		}
		r, err := f.Open()
		if err == nil {
			err = errors.Join(s.whole(where+"!"+f.Name, r, depth+1), r.Close())
		}
		if err != nil {
			return fmt.Errorf("%s cannot be unpacked: %w", printable(where), err)
		}
	}
	return nil
}

func (s *scanner) whole(where string, r io.Reader, depth int) error {
	content, err := io.ReadAll(io.LimitReader(r, largestFile+1))
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", printable(where), err)
	}
	if len(content) > largestFile {
		return fmt.Errorf("%s is too large to be looked at.", printable(where))
	}
	return s.contentAt(where, content, depth)
}

// folder looks at all files of a folder. Archives are read as they come: an image has more than fits into the memory.
func (s *scanner) folder(folder string) error {
	return filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		head := make([]byte, 512)
		n, _ := io.ReadFull(f, head)
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		where, err := filepath.Rel(folder, name)
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(head[:n], []byte{0x1f, 0x8b}):
			return s.gzipped(where, f, 0)
		case isTar(head[:n]):
			return s.tarred(where, f, 0)
		}
		return s.whole(where, f, 0)
	})
}

// err says what was found, and how to allow it.
func (s *scanner) err() error {
	var f faults
	for i, found := range s.findings {
		if i == 20 {
			f.add("%d more things look like secrets.", len(s.findings)-i)
			break
		}
		where := printable(found.where)
		if found.line > 0 {
			where += fmt.Sprintf(", line %d,", found.line)
		}
		f.add("%s has %s. If it is none, %s takes the line «%s %s».", where, found.what, allowedFile, found.fingerprint,
			path.Base(printable(found.where)))
	}
	return f.err()
}

// checkSecrets looks at every file of the commit.
func (s *source) checkSecrets() error {
	sc, err := s.scanner()
	if err != nil {
		return err
	}
	entries, err := s.files("")
	if err != nil {
		return err
	}
	err = s.readAll(entries, func(e entry, content []byte) error {
		return sc.content(e.name, content)
	})
	if err != nil {
		return err
	}
	return sc.err()
}

func (s *source) scanner() (*scanner, error) {
	allowed, err := s.read(allowedFile)
	if err != nil {
		allowed = nil // nothing is allowed
	}
	return newScanner(allowed)
}
