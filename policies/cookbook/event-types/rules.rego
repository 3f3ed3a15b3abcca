# Of a register that listed kinds of events leave the city for, others get those
# kinds and no more. What an event is, a policy sees; what its data says, it does not.
package gxbus.division.d440300

open := {"event-types": {"cn.gov.sample.firm.registered.v1", "cn.gov.sample.firm.cancelled.v1"}}

deny contains {
	"code": "event-type-not-open",
	"zh": sprintf("该资源的此类事件（%s）仅供本市使用；需要的，请向提供部门申请开放。", [input.event.type]),
	"en": sprintf("Events of this resource of the type %s stay in the city; ask the provider to open them.", [input.event.type]),
} if {
	input.action == "forward"
	"440300" in input.provider.divisions
	input.resource.id in object.keys(open)
	not in_the_city
	not is_open
}

in_the_city if "440300" in input.consumer.divisions

is_open if input.event.type in open[input.resource.id]
