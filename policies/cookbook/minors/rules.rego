# Registers of children: for those who serve children only, for a matter, to decide
# or to verify, never as reference; of the birth date the year, of the name the
# surname.
package gxbus.division.d440000

registers := {"school-enrolment", "vaccination"}

serving := {"11440100999900046T", "1144010699990002XN"}

deny contains {
	"code": "minors-not-for-this",
	"zh": "未成年人信息仅供办理未成年人事项的部门用于行政依据或数据校核，并须填写事项；请核对部门、用途与事项。",
	"en": "Children's data is for departments that serve them, to decide or to verify, for a matter; check department, purpose and matter.",
} if {
	protected
	not fitting
}

protected if {
	input.action in {"subscribe", "forward", "deliver", "query"}
	input.resource.id in registers
	input.consumer.department != input.provider.department
}

fitting if {
	input.consumer.department in serving
	input.purpose in {"administrative-basis", "verification"}
	input.matter != ""
}

masks["birth_date"] := {"method": "year"} if protected

masks[item.id] := {"method": "surname"} if {
	protected
	some item in input.resource.items
	item.semantic == "name"
	item.id != "birth_date" # an item has one mask, or the answer contradicts itself
}
