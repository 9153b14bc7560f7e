// The frames of traces are light or dark as their page is: their address may end in #light or #dark.
addEventListener("load", () => {
  const page = document.documentElement;
  const followTheme = () => {
    for (const frame of document.querySelectorAll("iframe[sandbox]")) {
      const address = frame.srcdoc ? "about:srcdoc" : frame.src;
      frame.contentWindow.location.replace(`${address}#${page.dataset.theme}`);
    }
  };
  followTheme();
  new MutationObserver(followTheme).observe(page, { attributeFilter: ["data-theme"] });
});
