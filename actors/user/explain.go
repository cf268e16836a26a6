package user

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// Explain tells what a message would become if it came now, whether it was
// decided before or not. It changes nothing and takes no room in lanes. The
// steps are those of e.Trail, which must be empty.
func (s *State) Explain(c Message, e *Env) *rousev1.ExplainResponse {
	p, _ := s.judge(c, e)
	r := &rousev1.ExplainResponse{Steps: e.Trail.Steps("", e.Now)}
	for _, o := range p.Outcomes(e.ID, e.Me) {
		d := &rousev1.DeviceTrace{Outcome: o}
		if o.GetDeviceId() != "" {
			d.Steps = e.Trail.Steps(o.GetDeviceId(), e.Now)
		}
		r.Devices = append(r.Devices, d)
	}
	return r
}
