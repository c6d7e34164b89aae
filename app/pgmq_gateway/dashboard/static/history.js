// The browser's history for queue/history.py.
export default {
  template: `<div hidden></div>`,
  methods: {
    push(url) {
      history.pushState({}, "", url);
    },
    replace(url) {
      history.replaceState({}, "", url);
    },
    visit() {
      this.$emit("visit", location.pathname + location.search);
    },
  },
  mounted() {
    addEventListener("popstate", this.visit);
  },
  beforeUnmount() {
    removeEventListener("popstate", this.visit);
  },
};
