// A time relative to now, in the browser's zone, or in UTC where that differs.
function span(seconds) {
  for (const [size, unit, below, smaller] of [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]])
    if (seconds >= size) return `${Math.floor(seconds / size)}${unit} ${Math.floor((seconds % size) / below)}${smaller}`;
  return `${seconds}s`;
}

export default {
  template: `<time v-if="text" :datetime="at">{{ text }}</time>`,
  props: { at: String, kind: String },
  data: () => ({ now: Date.now(), clock: null }),
  computed: {
    text() {
      const time = new Date(this.at);
      if (isNaN(time)) return this.kind === "utc" ? "" : this.at;
      const offset = time.getTimezoneOffset();
      if (this.kind === "utc") return offset ? `${time.toISOString().slice(0, 19).replace("T", " ")} UTC` : "";
      if (this.kind === "local") return localTime(time) + (offset ? "" : " UTC");
      const seconds = Math.round((time - this.now) / 1000);
      return seconds > 0 ? `in ${span(seconds)}` : `${span(-seconds)} ago`;
    },
  },
  mounted() {
    if (this.kind === "relative") this.clock = setInterval(() => (this.now = Date.now()), 1000);
  },
  beforeUnmount() {
    clearInterval(this.clock);
  },
};
