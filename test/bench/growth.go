package main

const (
	growthName  = "10 created, listed, removed: 1000/0"
	growthLimit = 1.3
)

// growth is how much longer it takes to make ten containers, list all, and remove
// the ten when the store holds 1000 than when it holds none: a ratio of each tool
// to itself. It follows from other cases and is absent if one of them is.
func growth(all []result) (result, bool) {
	byName := map[string]result{}
	for _, r := range all {
		byName[r.Name] = r
	}
	g := result{
		Name: growthName, Unit: "times", Limit: growthLimit, Own: true,
		Samples: map[string][]float64{}, Medians: map[string]float64{},
	}
	for _, tool := range []string{podName, podmanName} {
		var sums []float64
		for _, n := range []string{"0", "1000"} {
			sum := 0.0
			for verb, times := range map[string]float64{"create": 10, "ps": 1, "rm": 10} {
				median, ok := byName[verb+", "+n+" containers"].Medians[tool]
				if !ok {
					return result{}, false
				}
				sum += times * median
			}
			sums = append(sums, sum)
		}
		g.Medians[tool] = sums[1] / sums[0]
		g.Samples[tool] = []float64{g.Medians[tool]}
	}
	g.Ratio = g.Medians[podName]
	return g, true
}
