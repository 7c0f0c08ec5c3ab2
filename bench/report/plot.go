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

// line is drawn in the color and with the dashes of these numbers.
type line struct {
	name          string
	points        []point
	color, dashes int
}

const (
	plotWidth = 8 * vg.Inch
	// plotHeight is without the legend, which has so much for each line.
	plotHeight   = 3 * vg.Inch
	legendHeight = vg.Inch / 6
	// axisHeight is what title and axis take.
	axisHeight = 0.8 * vg.Inch
)

// plot draws lines and shows the picture in the report.
func (r *report) plot(name, title, x, y string, lines []line) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.BackgroundColor = color.White // readable on a dark page as well
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true // at the left a font that is wider than ours is not cut off
	p.Add(plotter.NewGrid())
	for _, l := range lines {
		points := make(plotter.XYs, len(l.points))
		for j, at := range l.points {
			points[j] = plotter.XY{X: at.x, Y: at.y}
		}
		drawn, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		drawn.Color, drawn.Dashes = plotutil.Color(l.color), plotutil.Dashes(l.dashes)
		drawn.Width = vg.Points(1.5)
		p.Add(drawn)
		p.Legend.Add(l.name, drawn)
	}
	legend := vg.Length(len(lines)) * legendHeight
	height := plotHeight + legend
	p.Y.Max /= 1 - float64(legend/(height-axisHeight)) // the lines stay below the legend
	p.X.Max += (p.X.Max - p.X.Min) / 20                // the last number stays within the picture
	r.printf("![%s](benchmarks/%s.svg)\n", title, name)
	return p.Save(plotWidth, height, filepath.Join(r.plots, name+".svg"))
}
