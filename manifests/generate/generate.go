package main

import (
	"fmt"
	"slices"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	"sigs.k8s.io/yaml"

	"helm.sh/helm/v4/pkg/chart/common/util"
)

// flavour is one manifest.
type flavour struct{ database, flavour string }

var flavours = []flavour{{"sqlite", "workload"}, {"sqlite", "api"}, {"postgres", "workload"}, {"postgres", "api"}}

// name is that of the database, and of the flavour unless it is the usual one.
func (f flavour) name() string {
	if f.flavour == "workload" {
		return f.database
	}
	return f.database + "-" + f.flavour
}

func (f flavour) values(monitoring bool) map[string]any {
	return map[string]any{
		"flavour":    f.flavour,
		"database":   map[string]any{"type": f.database},
		"namespace":  map[string]any{"create": true},
		"monitoring": map[string]any{"enabled": monitoring},
	}
}

// theRelease is how the manifests are installed.
var theRelease = release{"harikube", "harikube"}

// generate returns everything that is written.
func generate(s sources, settings settings) ([]file, error) {
	parts, err := chartFiles(s, settings)
	if err != nil {
		return nil, err
	}
	c, err := loadChart(parts)
	if err != nil {
		return nil, err
	}
	archive, err := packageChart(parts)
	if err != nil {
		return nil, err
	}
	files := []file{{"chart/harikube-" + settings.version + ".tgz", archive}}

	var everything []object
	for _, f := range flavours {
		objects, err := render(c, theRelease, settings.kubernetes, f.values(false))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name(), err)
		}
		if err := check(objects, s.vcluster["values.schema.json"]); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name(), err)
		}
		manifest, err := toYAML(objects)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("vcluster-harikube-%s-release-%s.yaml", f.name(), settings.version)
		manifest = append([]byte(f.header(name, settings.version)), manifest...)
		files = append(files, file{name, manifest},
			file{"kustomize/" + f.name() + "/" + name, manifest},
			file{"kustomize/" + f.name() + "/kustomization.yaml", fmt.Appendf(nil,
				"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- %s\n", name)})
		everything = append(everything, objects...)
	}

	monitoring, err := monitoringFiles(s, c, settings)
	if err != nil {
		return nil, err
	}
	files = append(files, monitoring...)

	postgres, err := s.file("manifests/postgres.yaml")
	if err != nil {
		return nil, err
	}
	for _, document := range strings.Split(string(postgres), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, fmt.Errorf("manifests/postgres.yaml: %w", err)
		}
		everything = append(everything, o)
	}
	files = append(files, file{"postgres-release-" + settings.version + ".yaml", postgres})

	for _, name := range []string{"skip-controller-manager-metadata-caching.yaml", "workload-low.yaml"} {
		data, err := s.file("manifests/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, data})
	}
	files = append(files, file{"images.txt", []byte(strings.Join(imagesOf(everything), "\n") + "\n")})
	return byName(files), nil
}

func (f flavour) header(name, version string) string {
	var database, flavour string
	switch f.database {
	case "sqlite":
		database = "SQLite, in a volume."
	case "postgres":
		database = "PostgreSQL, by the endpoint and the password that the Secret harikube-database has."
	}
	switch f.flavour {
	case "workload":
		flavour = "Its pods run on the host."
	case "api":
		flavour = "It is an API without pods."
	}
	return fmt.Sprintf(`# HariKube %s: a virtual cluster in the namespace harikube, whose objects are in
# %s %s
#
#   kubectl apply -f %s
#
# Generated; a change by hand is lost with the next version. docs/install.md has what can be changed, and how.
`, version, database, flavour, name)
}

// check compares the values that vCluster will read with its own schema.
func check(objects []object, schema []byte) error {
	i := slices.IndexFunc(objects, func(o object) bool { return o.text("stringData", "config.yaml") != "" })
	if i < 0 {
		return fmt.Errorf("there is no configuration of vCluster")
	}
	var values map[string]any
	if err := yaml.Unmarshal([]byte(objects[i].text("stringData", "config.yaml")), &values); err != nil {
		return err
	}
	return util.ValidateAgainstSingleSchema(values, schema)
}

// monitoringFiles are what the chart has for the Prometheus Operator, and for those who have none.
func monitoringFiles(s sources, c *chart.Chart, settings settings) ([]file, error) {
	objects, err := render(c, theRelease, settings.kubernetes, flavours[0].values(true))
	if err != nil {
		return nil, err
	}
	var files []file
	for name, kinds := range map[string][]string{
		"servicemonitor.yaml": {"ServiceMonitor"},
		"prometheusrule.yaml": {"PrometheusRule"},
		"dashboard.yaml":      {"ConfigMap"},
	} {
		data, err := toYAML(slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return !slices.Contains(kinds, o.kind()) }))
		if err != nil {
			return nil, err
		}
		files = append(files, file{"monitoring/" + name, data})
	}
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		data, err := s.file("manifests/monitoring/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{"monitoring/" + name, data})
	}
	return files, nil
}

// imagesOf are those that the objects name, and those that vCluster brings by its configuration.
func imagesOf(objects []object) []string {
	var images []string
	var visit func(any)
	visit = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, inner := range value {
				if image, is := inner.(string); is && key == "image" && image != "" {
					images = append(images, image)
				}
				visit(inner)
			}
		case []any:
			for _, inner := range value {
				visit(inner)
			}
		}
	}
	for _, o := range objects {
		visit(map[string]any(o))
		config := object{}
		if text := o.text("stringData", "config.yaml"); text != "" && yaml.Unmarshal([]byte(text), &config) == nil {
			images = append(images, brought(config)...)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// brought are the images of what vCluster itself makes: its DNS, and a container in pods of StatefulSets.
func brought(config object) []string {
	var images []string
	if enabled, _ := config.at("controlPlane", "coredns", "enabled").(bool); enabled {
		images = append(images, config.text("controlPlane", "coredns", "deployment", "image"))
	}
	pods := object(config.at("sync", "toHost", "pods").(map[string]any))
	if enabled, _ := pods.at("enabled").(bool); enabled {
		image := pods.at("rewriteHosts", "initContainer", "image").(map[string]any)
		images = append(images, fmt.Sprintf("%s/%s:%s", image["registry"], image["repository"], image["tag"]))
	}
	return images
}
