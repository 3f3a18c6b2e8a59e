import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "test-results", "node_modules"] },
  { files: ["**/*.ts", "**/*.tsx"], extends: [tseslint.configs.strictTypeChecked], languageOptions: { parserOptions: { projectService: true } } },
  {
    files: ["**/*.ts", "**/*.tsx"],
    rules: {
      // Numbers in template literals read well and cannot go wrong.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Code points are what is meant.
      "@typescript-eslint/no-misused-spread": "off",
      eqeqeq: "error",
      "no-console": "error",
    },
  },
);
