# A department shares a register for the matters it has agreed to, and for no
# other: 实施清单编码 by resource.
package gxbus.department.d11440300999900011J

matters := {"enterprise-registration": {"440106001000", "440106002000"}}

deny contains {
	"code": "matter-not-listed",
	"zh": "该资源仅用于本部门列明的事项；请填写列明的实施清单编码，或与本部门联系增列。",
	"en": "This resource is shared for the matters its provider lists; state one of them, or ask the provider to list yours.",
} if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.provider.department == "11440300999900011J"
	input.consumer.department != input.provider.department
	matters[input.resource.id]
	not listed
}

listed if input.matter in matters[input.resource.id]
