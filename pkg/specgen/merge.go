package specgen

import (
	"maps"
	"reflect"
	"slices"
)

// Merge lays what is set in over on top of r. The two ways to say how much
// processor there is, a number and a quota, replace each other; limits of a
// device replace those of the same device. What r shared with a copy stays as
// it is.
func (r *Resources) Merge(over Resources) {
	old := *r
	switch {
	case over.CPUs != 0:
		r.CPUPeriod, r.CPUQuota = 0, 0
	case (over.CPUPeriod != 0 || over.CPUQuota != 0) && r.CPUs != 0:
		// A number is a quota in the default period: the half not given stays.
		r.CPUQuota, r.CPUs = int64(r.CPUs*cpuPeriod), 0
	}
	if over.Memory != 0 && over.MemorySwap == 0 {
		r.MemorySwap = 0 // it was chosen for the other limit
	}
	to, from := reflect.ValueOf(r).Elem(), reflect.ValueOf(over)
	for i := range to.NumField() {
		if field := from.Field(i); !field.IsZero() {
			to.Field(i).Set(field)
		}
	}
	r.BlkioWeightDevice = mergeRates(old.BlkioWeightDevice, over.BlkioWeightDevice)
	r.DeviceReadBps = mergeRates(old.DeviceReadBps, over.DeviceReadBps)
	r.DeviceWriteBps = mergeRates(old.DeviceWriteBps, over.DeviceWriteBps)
	r.DeviceReadIOps = mergeRates(old.DeviceReadIOps, over.DeviceReadIOps)
	r.DeviceWriteIOps = mergeRates(old.DeviceWriteIOps, over.DeviceWriteIOps)
	if len(old.CgroupConf) > 0 {
		r.CgroupConf = maps.Clone(old.CgroupConf)
		maps.Copy(r.CgroupConf, over.CgroupConf)
	}
}

func mergeRates(old, over []DeviceRate) []DeviceRate {
	rates := slices.Clone(old)
	for _, o := range over {
		i := slices.IndexFunc(rates, func(d DeviceRate) bool { return d.Path == o.Path })
		if i < 0 {
			rates = append(rates, o)
		} else {
			rates[i] = o
		}
	}
	return rates
}
