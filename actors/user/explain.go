package user

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// Explain tells what a message would become if it came now, whether it was
// decided before or not. It changes nothing and takes no room in lanes. The
// steps are those of e.Trail, which must be empty.
func (s *State) Explain(c Message, e *Env) *rousev1.ExplainResponse {
	p, _ := s.judge(c, e)
	told, _ := decodeSteps(e.Trail.String(), millis(p.DecidedAt)) // written just now, it can be read
	r := &rousev1.ExplainResponse{Steps: told.message}
	for _, o := range p.Outcomes(e.ID, e.Me) {
		r.Devices = append(r.Devices, &rousev1.DeviceTrace{Outcome: o, Steps: told.devices[o.GetDeviceId()]})
	}
	return r
}
