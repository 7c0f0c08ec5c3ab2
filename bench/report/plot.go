package main

import (
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

type point struct{ x, y float64 }

type line struct {
	name   string
	points []point
}

// plot draws lines and shows the picture in the report.
func (r *report) plot(name, title, x, y string, lines []line) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.BackgroundColor = color.White // readable on a dark page as well
	p.Y.Min = 0
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for i, l := range lines {
		points := make(plotter.XYs, len(l.points))
		for j, at := range l.points {
			points[j] = plotter.XY{X: at.x, Y: at.y}
		}
		drawn, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		drawn.Color, drawn.Dashes = plotutil.Color(i), plotutil.Dashes(i/4)
		drawn.Width = vg.Points(1.5)
		p.Add(drawn)
		p.Legend.Add(l.name, drawn)
	}
	p.Y.Max *= 1.3 // room for the legend
	r.printf("![%s](benchmarks/%s.svg)\n", title, name)
	return p.Save(7*vg.Inch, 3.5*vg.Inch, filepath.Join(r.plots, name+".svg"))
}
