// Command assemble makes a release of what has been built, and judges one.
//
//	assemble version -version vX.Y.Z              whether it is one
//	assemble check  -version vX.Y.Z               whether this commit can be released under this version
//	assemble archive -version vX.Y.Z -out FOLDER  the archive of the manifests alone
//	assemble dist   -version vX.Y.Z -bom FILE     fills release/dist
//	assemble sign   [-dist FOLDER]                signs it with the key of the file that KEY names
//	assemble verify [-dist FOLDER]                judges a folder that somebody downloaded
//	assemble keep   -version vX.Y.Z               keeps the manifests in manifests/releases
//	assemble push   [-registry NAME]              brings the images into a registry, under the digests that they have
//	assemble push-signatures [-registry NAME]     puts the images' signatures beside the images
//
// It runs anywhere in the repository; verify and sign run anywhere. Each fault is one sentence on standard error, and the status
// is then 1. docs/releasing.md says what a release has in it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

const usage = "usage: assemble version|check|archive|dist|sign|verify|keep|push|push-signatures [options]"

// run is the program. Values that come from whoever types `make` may be in the environment instead: RELEASE_VERSION,
// RELEASE_KEY, RELEASE_PUBKEY, RELEASE_DIST, RELEASE_REGISTRY. There no shell reads them.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, usage)
		return 2
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		version   = flags.String("version", os.Getenv("RELEASE_VERSION"), "the version, vX.Y.Z or vX.Y.Z-rc.1")
		root      = flags.String("root", "", "a folder in the repository; the current one")
		images    = flags.String("images", "build/images", "folder of the image archives, below the root")
		manifests = flags.String("manifests", "build/manifests", "folder of the manifests, below the root")
		bom       = flags.String("bom", "", "the bill of materials that Maven made of the server, below the root")
		lib       = flags.String("lib", "build/lib", "folder of the server's jars as Maven has them, below the root")
		out       = flags.String("out", "release/dist", "folder to fill, below the root")
		minors    = flags.String("minors", "", "the minor versions of Kubernetes, with spaces between; all that the repository has")
		dist      = flags.String("dist", os.Getenv("RELEASE_DIST"), "folder of a release; release/dist")
		registry  = flags.String("registry", os.Getenv("RELEASE_REGISTRY"), "registry of the images; the one that their names have")
	)
	if err := flags.Parse(args[1:]); err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "assemble %s takes options only, not %q.\n", args[0], flags.Arg(0))
		return 2
	}
	if *dist == "" {
		*dist = "release/dist"
	}
	var err error
	switch args[0] {
	case "version":
		err = parseVersion(*version)
	case "check":
		err = checkCommand(*root, *version, *manifests, stdout)
	case "archive":
		err = archiveCommand(*root, *version, *manifests, *out, stdout)
	case "dist":
		err = distCommand(distOptions{
			root: *root, version: *version, images: *images, manifests: *manifests, bom: *bom, lib: *lib, out: *out,
			minors: strings.Fields(*minors),
		}, stdout)
	case "sign":
		err = signCommand(*dist, os.Getenv("RELEASE_KEY"), os.Getenv("RELEASE_PUBKEY"), stdout)
	case "verify":
		err = verifyCommand(*dist, os.Getenv("RELEASE_PUBKEY"), stdout)
	case "keep":
		err = keepCommand(*root, *version, *manifests, stdout)
	case "push":
		err = pushCommand(*dist, *registry, os.Getenv("RELEASE_PUBKEY"), stdout)
	case "push-signatures":
		err = pushSignaturesCommand(*dist, *registry, os.Getenv("RELEASE_PUBKEY"), stdout)
	default:
		fmt.Fprintln(stderr, usage)
		return 2
	}
	if err == nil {
		return 0
	}
	for _, fault := range faultsOf(err) {
		fmt.Fprintln(stderr, fault)
	}
	return 1
}

// faults collects sentences: who mends one fault should not meet the next one only then.
type faults []error

func (f *faults) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf(format, args...))
}

// err is nil when there is no fault.
func (f faults) err() error {
	return errors.Join(f...)
}

// faultsOf takes apart what errors.Join has joined.
func faultsOf(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, faultsOf(e)...)
	}
	return all
}
